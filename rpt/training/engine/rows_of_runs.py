"""Which rows of a pass are whose. Shapes: R runs, B rows, K the most rows of a run."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from rpt.backbones.device import send


class RowsOfRuns:
    """Copies values of runs to their rows, and sums values of rows for each run. A sum takes only the rows of its run,
    in their order: so runs are reproducible to the last bit on a GPU too, and one run's NaN does not reach another.

    Args:
        run_numbers: [B], the number of each row's run.
        runs: R.
    """

    def __init__(self, run_numbers: list[int], runs: int, device: torch.device):
        rows: list[list[int]] = [[] for _ in range(runs)]
        for row, run in enumerate(run_numbers):
            rows[run].append(row)
        row_numbers = np.full((runs, max(map(len, rows))), len(run_numbers))  # [R, K], filled up with a row of zeros
        for run, numbers in enumerate(rows):
            row_numbers[run, : len(numbers)] = numbers
        self.run_numbers, self.row_numbers = (
            send(torch.as_tensor(each), device) for each in (run_numbers, row_numbers)
        )

    def spread(self, table: Tensor) -> Tensor:
        """[B, ...] from [R, ...]."""
        return _Spread.apply(table, self)

    def add_up(self, rows: Tensor) -> Tensor:
        """[R, ...] from [B, ...]."""
        padded = torch.cat([rows, rows.new_zeros(1, *rows.shape[1:])])
        return padded.index_select(0, self.row_numbers.flatten()).unflatten(0, self.row_numbers.shape).sum(dim=1)


class _Spread(torch.autograd.Function):
    """index_select with a backward pass that sums in a fixed order; torch's own does not, on a GPU or several
    threads."""

    @staticmethod
    def forward(ctx: Any, table: Tensor, rows: RowsOfRuns) -> Tensor:
        ctx.rows = rows
        return table.index_select(0, rows.run_numbers)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return ctx.rows.add_up(gradient), None
