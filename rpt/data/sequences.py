"""Token ids for an encoder. They are made once per (texts, tokenizer, text budget) and cached on disk."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tokenizers import Encoding
from transformers import PreTrainedTokenizerBase

from rpt.data.cache import Arrays, cached
from rpt.data.text_tokenizer import text_tokenizer
from rpt.errors import UsageError
from rpt.tasks import Decision, Example, Reading, Task

LAYOUT = 3  # of cached arrays; raise it when they change
CHUNK = 10_000  # readings tokenised at once: ReCoRD has a million, and their character offsets take memory


@dataclass(frozen=True)
class TokenSequence:
    """One input of an encoder, without the prompt.

    ids: with special tokens, [CLS] first. second: index at which the second token type begins; the length if there is
    none. marks: the tokens [first, last) of each marked word. lost: how many tokens were cut off.
    """

    ids: np.ndarray
    second: int
    marks: tuple[tuple[int, int], ...] = ()
    lost: int = 0

    def __len__(self) -> int:
        return len(self.ids)


def encode_decisions(
    examples: list[Example],
    task: Task,
    tokenizer: PreTrainedTokenizerBase,
    text_budget: int,
    cache: Path | None = None,
    apart: bool = False,
) -> list[list[tuple[TokenSequence, ...]]]:
    """The sequences of each example's decisions, with at most `text_budget` tokens each.

    A sequence that is too long loses the end of its first text (a passage), never a marked word and never its second
    text (a question), unless the question alone exceeds the budget.

    Args:
        text_budget: tokens that the prompt leaves to each sequence.
        cache: a folder for tokenised rows; None does not cache.
        apart: whether each text of a reading becomes a separate sequence, without marks.

    Raises:
        UsageError: a marked word is not in its text, or the tokenizer is slow (written in Python).
    """
    decisions = [[_readings(decision, apart) for decision in task.decisions(example)] for example in examples]
    readings = [reading for example in decisions for decision in example for reading in decision]
    if cache is None:
        sequences = encode_readings(readings, tokenizer, text_budget)
    else:
        key = itertools.chain([LAYOUT, "encoder", text_budget, text_tokenizer(tokenizer).fingerprint], readings)
        arrays = cached(cache, key, lambda: _as_arrays(encode_readings(readings, tokenizer, text_budget)))
        sequences = _from_arrays(arrays)
    each = iter(sequences)
    return [[tuple(next(each) for _ in decision) for decision in example] for example in decisions]


def _readings(decision: Decision, apart: bool) -> tuple[Reading, ...]:
    """A decision's readings, or if `apart` each of their texts as a reading."""
    return tuple(text for reading in decision.readings for text in (reading.apart() if apart else [reading]))


def encode_readings(
    readings: list[Reading], tokenizer: PreTrainedTokenizerBase, text_budget: int
) -> list[TokenSequence]:
    """The sequence of each reading."""
    sequences = []
    for some in (readings[i : i + CHUNK] for i in range(0, len(readings), CHUNK)):
        texts = [list(column) for column in zip(*(reading.texts for reading in some), strict=True)]
        encodings = text_tokenizer(tokenizer).encode(*texts)
        sequences += [
            _sequence(encoding, reading, text_budget) for encoding, reading in zip(encodings, some, strict=True)
        ]
    return sequences


def _sequence(encoding: Encoding, reading: Reading, text_budget: int) -> TokenSequence:
    marks = [_find_tokens(mark, encoding, reading) for mark in reading.marks]
    left = _cut(encoding, marks, text_budget)
    ids, types = np.array(encoding.ids, dtype=np.int32)[left], np.array(encoding.type_ids)[left]
    # A mark moves by the number of tokens cut before it; its own tokens are never cut.
    moved = tuple((int(np.searchsorted(left, first)), int(np.searchsorted(left, last))) for first, last in marks)
    return TokenSequence(ids, int((types == 0).sum()), moved, len(encoding) - len(ids))


def _find_tokens(mark: tuple[int, int, int], encoding: Encoding, reading: Reading) -> tuple[int, int]:
    """The tokens [first, last) of a marked word."""
    which, start, end = mark
    tokens = [encoding.char_to_token(char, which) for char in range(start, end)]
    inside = [token for token in tokens if token is not None]
    if not inside:
        raise UsageError(f"There is no word at characters {start} to {end} of {reading.texts[which]!r:.200}.")
    return inside[0], inside[-1] + 1


def _cut(encoding: Encoding, marks: list[tuple[int, int]], text_budget: int) -> np.ndarray:
    """The indices of the tokens that fit into the budget, in order: the first text loses its end, then the second its;
    marked words stay."""
    excess = len(encoding) - text_budget
    if excess <= 0:
        return np.arange(len(encoding))
    texts = {token: text for token, text in enumerate(encoding.sequence_ids) if text is not None}  # no special tokens
    marked = {token for first, last in marks for token in range(first, last)}
    in_turn = sorted(texts.keys() - marked, key=lambda token: (texts[token], -token))
    return np.setdiff1d(np.arange(len(encoding)), in_turn[:excess])


def _as_arrays(sequences: list[TokenSequence]) -> Arrays:
    marks = np.array([sequence.marks for sequence in sequences], dtype=np.int64)
    return {
        "ids": np.concatenate([sequence.ids for sequence in sequences]),
        "ends": np.cumsum([len(sequence) for sequence in sequences]),
        "second": np.array([sequence.second for sequence in sequences]),
        "marks": marks.reshape(len(sequences), len(sequences[0].marks), 2),
        "lost": np.array([sequence.lost for sequence in sequences]),
    }


def _from_arrays(arrays: Arrays) -> list[TokenSequence]:
    ids = np.split(arrays["ids"], arrays["ends"][:-1])
    rest = (arrays[name].tolist() for name in ("second", "marks", "lost"))
    return [
        TokenSequence(row_ids, second, tuple(map(tuple, marks)), lost)
        for row_ids, second, marks, lost in zip(ids, *rest, strict=True)
    ]
