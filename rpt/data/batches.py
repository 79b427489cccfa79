"""Where a batch is built. Which rows a run sees in which step, and how rows become a padded batch."""

from __future__ import annotations

import numpy as np
import torch

WINDOW = 32  # batches whose rows are sorted together: long enough to save padding, short enough to stay random


def epoch_steps(lengths: np.ndarray, rows_per_step: int, seed: int, epoch: int, order: str) -> list[np.ndarray]:
    """The row indices of each optimizer step of one epoch; a pure function of its arguments, so a run can resume.

    Args:
        lengths: [n] source lengths in tokens.
        rows_per_step: rows per optimizer step; the last step of an epoch may have fewer.
        order: "grouped": reshuffled every epoch, rows of similar length meet; "once": one order for all epochs
            and seeds (the published code's).
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
    """Right-padded ids [B, T], T the longest row or `width`."""
    width = width or max(map(len, rows))
    return torch.tensor([[*row, *[fill] * (width - len(row))] for row in rows])


def plan_passes(widths: list[tuple[int, int]], max_tokens: float, pass_cost: float = 0.0) -> list[tuple[int, int]]:
    """Cut rows into the consecutive passes [first, last) that cost least: each its tokens, padding included, and
    `pass_cost`. None has more than `max_tokens`, unless it is a single row.

    Args:
        widths: of each row its (prompt, text) lengths; each of the two is padded to the longest in the pass.
        pass_cost: what a pass costs beyond its tokens, in tokens.
    """
    prompts, texts = np.array(widths).T
    whole = (prompts.max() + texts.max()) * len(widths)
    if whole <= max_tokens and whole - prompts.sum() - texts.sum() <= pass_cost:  # all padding is cheaper than a cut
        return [(0, len(widths))]
    cheapest, starts = np.zeros(len(widths) + 1), []
    for last in range(1, len(widths) + 1):
        # Of passes that end here, by their first row, the nearest first.
        longest = [np.maximum.accumulate(of[last - 1 :: -1]) for of in (prompts, texts)]
        tokens = sum(longest) * np.arange(1, last + 1)
        fitting = max(1, int(np.searchsorted(tokens, max_tokens, side="right")))  # tokens only grow
        costs = cheapest[last - 1 :: -1][:fitting] + tokens[:fitting] + pass_cost
        rows = int(costs.argmin()) + 1
        cheapest[last] = costs[rows - 1]
        starts.append(last - rows)
    passes, last = [], len(widths)
    while last:
        passes.append((starts[last - 1], last))
        last = starts[last - 1]
    return passes[::-1]
