"""Which rows of a pass are whose. Shapes: R runs, B rows, K the most rows of a run."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from rpt.backbones.device import send


class RowsOfRuns:
    """Gives every row what its run has, and adds up by run what rows have: each run its own rows alone, in their order,
    so that runs repeat to the last bit on a GPU too and one run's NaN stays its own.

    Args:
        of_run: [B], the number of each row's run.
        runs: R.
    """

    def __init__(self, of_run: list[int], runs: int, device: torch.device):
        rows: list[list[int]] = [[] for _ in range(runs)]
        for row, run in enumerate(of_run):
            rows[run].append(row)
        of_rows = np.full((runs, max(map(len, rows))), len(of_run))  # where a run has fewer: a row of zeros at the end
        for run, row_numbers in enumerate(rows):
            of_rows[run, : len(row_numbers)] = row_numbers
        self.of_run, self.of_rows = (send(torch.as_tensor(each), device) for each in (of_run, of_rows))

    def spread(self, table: Tensor) -> Tensor:
        """[B, ...] from [R, ...]."""
        return _Spread.apply(table, self)

    def add_up(self, rows: Tensor) -> Tensor:
        """[R, ...] from [B, ...]."""
        padded = torch.cat([rows, rows.new_zeros(1, *rows.shape[1:])])
        return padded.index_select(0, self.of_rows.flatten()).unflatten(0, self.of_rows.shape).sum(dim=1)


class _Spread(torch.autograd.Function):
    """torch's own ways back from index_select and indexing add up in no fixed order, on a GPU or on several threads."""

    @staticmethod
    def forward(ctx: Any, table: Tensor, rows: RowsOfRuns) -> Tensor:
        ctx.rows = rows
        return table.index_select(0, rows.of_run)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return ctx.rows.add_up(gradient), None
