"""Which rows a run sees in which step, and how rows become a padded batch."""

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


def within(widths: list[tuple[int, int]], max_tokens: float) -> list[tuple[int, int]]:
    """Cut rows into consecutive passes [first, last) of at most so many tokens, padding included, or of one row.

    Args:
        widths: of each row its (prompt, text) lengths; each of the two is padded to the longest in the pass.
    """
    passes, first, prompt, text = [], 0, 0, 0
    for i, (own_prompt, own_text) in enumerate(widths):
        prompt, text = max(prompt, own_prompt), max(text, own_text)
        if i > first and (prompt + text) * (i + 1 - first) > max_tokens:
            passes.append((first, i))
            first, prompt, text = i, own_prompt, own_text
    return [*passes, (first, len(widths))]
