"""Which rows make a batch: steps, padding, passes."""

from __future__ import annotations

import numpy as np
import torch

WINDOW = 32  # batches whose rows are sorted by length together: enough to save padding, few enough to stay random


def epoch_steps(lengths: np.ndarray, rows_per_step: int, seed: int, epoch: int, order: str) -> list[np.ndarray]:
    """The row indices of each optimizer step of one epoch: a pure function of its arguments, so that a run can resume.

    Args:
        lengths: [n] source lengths in tokens.
        rows_per_step: rows per optimizer step; the last step of an epoch may have fewer.
        order: "grouped": reshuffle every epoch and batch rows of similar length; "once": one order for all epochs and
            seeds, as in the published code.
    """
    if order == "once":
        rows = np.random.default_rng(0).permutation(len(lengths))
        return np.split(rows, range(rows_per_step, len(rows), rows_per_step))
    generator = np.random.default_rng([seed, epoch])
    rows = generator.permutation(len(lengths))
    window = WINDOW * rows_per_step
    sorted_windows = [
        part[np.argsort(lengths[part], kind="stable")] for part in np.split(rows, range(window, len(rows), window))
    ]
    steps = [step for part in sorted_windows for step in np.split(part, range(rows_per_step, len(part), rows_per_step))]
    return [steps[i] for i in generator.permutation(len(steps))]


def pad(rows: list[list[int]], fill: int, width: int | None = None) -> torch.Tensor:
    """Ids padded on the right, [B, T]; T is `width`, or the longest row."""
    width = width or max(map(len, rows))
    return torch.tensor([[*row, *[fill] * (width - len(row))] for row in rows])


def plan_passes(widths: list[tuple[int, int]], max_tokens: float, pass_cost: float = 0.0) -> list[tuple[int, int]]:
    """Cut rows into consecutive passes [first, last) at the lowest total cost: of each pass its tokens, with padding,
    and `pass_cost`. No pass has more than `max_tokens`, unless it is a single row.

    Args:
        widths: the (prompt, text) lengths of each row; both are padded to the longest in the pass.
        pass_cost: the overhead of a pass, in tokens.
    """
    prompts, texts = np.array(widths).T
    whole = (prompts.max() + texts.max()) * len(widths)
    if (
        whole <= max_tokens and whole - prompts.sum() - texts.sum() <= pass_cost
    ):  # padding everything is cheaper than a cut
        return [(0, len(widths))]
    cheapest, starts = np.zeros(len(widths) + 1), []
    for last in range(1, len(widths) + 1):
        # For all passes that end here, by their first row, the nearest first.
        longest = [np.maximum.accumulate(lengths[last - 1 :: -1]) for lengths in (prompts, texts)]
        tokens = (longest[0] + longest[1]) * np.arange(1, last + 1)
        fitting = max(1, int(np.searchsorted(tokens, max_tokens, side="right")))  # tokens never shrink
        costs = cheapest[last - 1 :: -1][:fitting] + tokens[:fitting] + pass_cost
        rows = int(costs.argmin()) + 1
        cheapest[last] = costs[rows - 1]
        starts.append(last - rows)
    passes, last = [], len(widths)
    while last:
        passes.append((starts[last - 1], last))
        last = starts[last - 1]
    return passes[::-1]
