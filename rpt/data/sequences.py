"""Token ids for an encoder. They are made once per (rows, tokenizer, text budget) and cached on disk."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tokenizers import Encoding
from transformers import PreTrainedTokenizerBase

from rpt.data.cache import Arrays, cached
from rpt.data.splits import fingerprint
from rpt.data.text_tokenizer import text_tokenizer
from rpt.errors import UsageError
from rpt.tasks import Decision, Example, Reading, Task

LAYOUT = 2  # of what is cached; raise it when that changes
CHUNK = 10_000  # readings tokenised at once: ReCoRD has a million, and their offsets take memory


@dataclass(frozen=True)
class TokenSequence:
    """What an encoder reads at once, without its prompt.

    ids: with the special tokens, [CLS] first. second: where the second token type begins; the end if there is none.
    marks: of each marked word its [first, last) tokens. lost: how many tokens were cut off.
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
    """The sequences of each example's decisions, at most `text_budget` tokens each; cached where a folder is given.

    What is too long loses the end of its first text (a passage), never what is marked and never the second text (a
    question), unless the question alone is longer than the budget.

    Args:
        text_budget: tokens that the prompt leaves to each sequence.
        apart: whether each text of a reading is a sequence of its own, without marks.

    Raises:
        UsageError: a marked word is not in its text, or the tokenizer is a slow one.
    """
    decisions = [[_readings(decision, apart) for decision in task.decisions(example)] for example in examples]
    readings = [reading for of_example in decisions for own in of_example for reading in own]
    if cache is None:
        sequences = encode_readings(readings, tokenizer, text_budget)
    else:
        asked = ["encoder", task.name, task.version, text_budget]
        asked += ["apart"] if apart else []
        made_of = [LAYOUT, *asked, text_tokenizer(tokenizer).fingerprint, fingerprint(examples)]
        sequences = _from_arrays(
            cached(cache, made_of, lambda: _as_arrays(encode_readings(readings, tokenizer, text_budget)))
        )
    each = iter(sequences)
    return [[tuple(next(each) for _ in own) for own in of_example] for of_example in decisions]


def _readings(decision: Decision, apart: bool) -> tuple[Reading, ...]:
    """A decision's readings, or each text of theirs as one."""
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
    marks = [_tokens_of(mark, encoding, reading) for mark in reading.marks]
    kept = _kept(encoding, marks, text_budget)
    ids, types = np.array(encoding.ids, dtype=np.int32)[kept], np.array(encoding.type_ids)[kept]
    # A mark moves by what was cut before it; none of its own tokens were.
    kept_marks = tuple((int(np.searchsorted(kept, first)), int(np.searchsorted(kept, last))) for first, last in marks)
    return TokenSequence(ids, int((types == 0).sum()), kept_marks, len(encoding) - len(ids))


def _tokens_of(mark: tuple[int, int, int], encoding: Encoding, reading: Reading) -> tuple[int, int]:
    """The tokens [first, last) of a marked word."""
    which, start, end = mark
    inside = [encoding.char_to_token(char, which) for char in range(start, end)]
    inside = [token for token in inside if token is not None]
    if not inside:
        raise UsageError(f"There is no word at characters {start} to {end} of {reading.texts[which]!r:.200}.")
    return inside[0], inside[-1] + 1


def _kept(encoding: Encoding, marks: list[tuple[int, int]], text_budget: int) -> np.ndarray:
    """The tokens that stay, in order."""
    excess = len(encoding) - text_budget
    if excess <= 0:
        return np.arange(len(encoding))
    of_text = encoding.sequence_ids  # None for special tokens
    marked = {token for first, last in marks for token in range(first, last)}
    last_mark = max(marked, default=0)

    def turn(token: int) -> tuple[int, bool, int]:
        """Of the first text goes what follows the marks, from the end; then what precedes them; then the second."""
        return of_text[token], token < last_mark, -token

    can_go = [token for token, text in enumerate(of_text) if text is not None and token not in marked]
    return np.setdiff1d(np.arange(len(encoding)), sorted(can_go, key=turn)[:excess])


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
        TokenSequence(of_row, second, tuple(map(tuple, marks)), lost)
        for of_row, second, marks, lost in zip(ids, *rest, strict=True)
    ]
