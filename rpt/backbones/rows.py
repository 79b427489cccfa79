"""Rows, and batches of examples for evaluation. Examples are made of rows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from rpt.tasks import Example, Task

Heads = dict[str, Tensor]  # a head's parameters by name; empty where the backbone has none
Batch = dict[str, Tensor]  # what a backbone computes of some rows, on its device; the names are the family's own


@dataclass(frozen=True)
class Row:
    """What is computed at once and has one loss.

    sequences: what the backbone reads, each behind the prompt: one, or one for every choice.
    target: the right answer: its token ids, or a label; None where it is unknown.
    terms: how many terms its loss sums. A run's loss is the mean over the terms of all its rows.
    """

    sequences: tuple[Any, ...]
    target: Any = None
    terms: int = 1

    @property
    def length(self) -> int:
        """Tokens of its longest sequence."""
        return max(map(len, self.sequences))


@dataclass(frozen=True)
class Encoded:
    """Examples of a task ready to be predicted: rows[i] are those of examples[i]."""

    task: Task
    examples: list[Example]
    rows: list[list[Row]]

    def pick(self, indices: Sequence[int]) -> Encoded:
        """Some of the examples, in this order."""
        return Encoded(self.task, [self.examples[i] for i in indices], [self.rows[i] for i in indices])


def batch_examples(
    rows: Sequence[Sequence[Row]], size: int, prompt_length: int = 0, max_tokens: float = math.inf
) -> Iterator[list[int]]:
    """The indices of the examples that share a forward pass: of at most `size` sequences together, or a single one.

    Long ones come first: a batch that does not fit memory fails at once and not at the end.

    Args:
        rows: of each example.
        prompt_length: tokens before each sequence.
        max_tokens: of a batch, padding included.
    """
    batch: list[int] = []
    sequences, longest = 0, 0
    for i in sorted(range(len(rows)), key=lambda i: -max(row.length for row in rows[i])):
        n_sequences = sum(len(row.sequences) for row in rows[i])
        if batch and (sequences + n_sequences > size or (sequences + n_sequences) * longest > max_tokens):
            yield batch
            batch, sequences = [], 0
        if not batch:
            longest = prompt_length + max(row.length for row in rows[i])
        batch.append(i)
        sequences += n_sequences
    if batch:
        yield batch
