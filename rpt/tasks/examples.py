"""Examples; for an encoder readings and decisions."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

Prediction = int | str | None  # a label's index, a text, or None where the output is no answer of the task


@dataclass(frozen=True)
class Example:
    """One thing to predict.

    Attributes:
        fields: the task's own named fields, the same whichever schema the row came in.
        label: index into the task's labels; None when the row is unlabelled or the task has no labels.
        answers: gold answers of an open task, each once.
        idx: the official index, an int or a dict of ints in the order that the task gives them.
        group: what is scored together: multirc (paragraph, question), record (passage, query), else None.
    """

    fields: Mapping[str, Any]
    label: int | None
    answers: tuple[str, ...] = ()
    idx: Any = None
    group: Hashable = None

    @property
    def gold(self) -> int:
        """The label, of an example that is scored by it.

        Raises:
            ValueError: it has none.
        """
        if self.label is None:
            raise ValueError(f"example {self.idx} has no gold label")
        return self.label


@dataclass(frozen=True)
class Reading:
    """What an encoder reads at once.

    Attributes:
        texts: one, or two: a passage and what is asked about it. If they are too long, the first is cut first.
        marks: the spans that the question is about, as (which text, start, end): character offsets, end exclusive.
            A marked span is never cut.
    """

    texts: tuple[str, ...]
    marks: tuple[tuple[int, int, int], ...] = ()

    def apart(self) -> tuple[Reading, ...]:
        """Its texts as one reading each, unmarked."""
        return tuple(Reading((text,)) for text in self.texts)


@dataclass(frozen=True)
class Decision:
    """One choice that an encoder makes: the class of a reading, or which of several readings is right.

    Attributes:
        readings: each gets `head_outputs` numbers from the head; those of all readings, side by side, are the logits.
        label: index of the logit that should be the largest; None if it is unknown.
    """

    readings: tuple[Reading, ...]
    label: int | None


def starred(texts: Sequence[str], spans: Sequence[tuple[int, int, int]]) -> Reading:
    """The texts with *stars* around each span (which text, start, end); the marks are what stands between the stars."""
    marked, marks = [], {}
    for which, text in enumerate(texts):
        spans_here = [span for span in spans if span[0] == which]
        # One span may contain the other ("their" in "their mothers"): sort stars at one place from the outer span in.
        opening = [(start, 1, -end) for _, start, end in spans_here]
        closing = [(end, 0, -start) for _, start, end in spans_here]
        stars = sorted(opening + closing)
        for span, first, last in zip(spans_here, opening, closing, strict=True):
            marks[span] = (which, span[1] + stars.index(first) + 1, span[2] + stars.index(last))
        cuts = [0, *(at for at, *_ in stars), len(text)]
        marked.append("*".join(text[start:end] for start, end in pairwise(cuts)))
    return Reading(tuple(marked), tuple(marks[span] for span in spans))
