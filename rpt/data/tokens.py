"""Token ids for writers. They are made once per (texts, tokenizer, text budget) and cached on disk."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path

import numpy as np
from transformers import PreTrainedTokenizerBase

from rpt.data.cache import Arrays, cached
from rpt.data.text_tokenizer import TextTokenizer, text_tokenizer
from rpt.tasks import Example, Task

LAYOUT = 4  # of cached arrays; raise it when they change
Tokens = list[int]


class Source(list[int]):
    """Token ids of a source text; `lost` counts the tokens that were cut off."""

    def __init__(self, ids: Tokens, lost: int = 0):
        super().__init__(ids)
        self.lost = lost


def encode_sources(
    examples: list[Example],
    task: Task,
    tokenizer: PreTrainedTokenizerBase,
    text_budget: int,
    cache: Path | None = None,
    cue: str = "",
) -> list[Source]:
    """Token ids of the sources, each at most `text_budget` long with the tokenizer's markers; cached where a folder is
    given.

    What is too long loses the end of its longest field (a passage), of several long fields the end of each: a short one
    (a question) stays whole.

    Args:
        text_budget: tokens that the prompt leaves to the text.
        cue: stands behind every source.

    Raises:
        UsageError: the tokenizer is a slow one.
    """
    texts = text_tokenizer(tokenizer)
    if cache is None:
        return _tokenise(examples, task, texts, text_budget, cue)
    made_of = ((task.source(example), dict(example.fields)) for example in examples)
    key = itertools.chain([LAYOUT, text_budget, cue, texts.fingerprint], made_of)
    arrays = cached(cache, key, lambda: _as_arrays(_tokenise(examples, task, texts, text_budget, cue)))
    ids = np.split(arrays["ids"], arrays["ends"][:-1])
    return [Source(row.tolist(), lost) for row, lost in zip(ids, arrays["lost"].tolist(), strict=True)]


def encode_answers(texts: list[str], tokenizer: PreTrainedTokenizerBase, cue: str = "") -> list[Tokens]:
    """Token ids of answers and their end marker.

    Args:
        cue: stands before every answer, with a space between, and its tokens are not the answer's. Where it is empty
            the tokenizer itself puts the end marker.
    """
    encode = text_tokenizer(tokenizer).encode
    if not cue:
        return [encoding.ids for encoding in encode(list(texts))]
    (before,) = encode([cue])
    written = encode([f"{cue} {text}" for text in texts])
    return [[*after.ids[len(before.ids) :], tokenizer.eos_token_id] for after in written]


def shorten(ids: Tokens, longest: int) -> Tokens:
    """At most so many tokens, of which the last, the end marker, stays (published code: ReCoRD's answers have ten)."""
    return ids if len(ids) <= longest else [*ids[: longest - 1], ids[-1]]


def _tokenise(examples: list[Example], task: Task, texts: TextTokenizer, text_budget: int, cue: str) -> list[Source]:
    encodings = texts.encode([task.source(example) + cue for example in examples])
    sources = []
    for example, encoding in zip(examples, encodings, strict=True):
        whole = encoding.ids
        ids = whole if len(whole) <= text_budget else _cut(example, task, texts, text_budget, cue)
        sources.append(Source(ids, len(whole) - len(ids)))
    return sources


def _cut(example: Example, task: Task, texts: TextTokenizer, text_budget: int, cue: str) -> Tokens:
    """The source whose fields have at most so many words each as fit (binary search)."""
    pieces = {name: value.split(" ") for name, value in example.fields.items() if isinstance(value, str)}

    def encode(n: int) -> Tokens:
        fields = {**example.fields, **{name: " ".join(each[:n]) for name, each in pieces.items()}}
        (encoding,) = texts.encode([task.source(dataclasses.replace(example, fields=fields)) + cue])
        return encoding.ids

    fits, too_many = 0, max(map(len, pieces.values()))
    while too_many - fits > 1:
        middle = (fits + too_many) // 2
        fits, too_many = (middle, too_many) if len(encode(middle)) <= text_budget else (fits, middle)
    return shorten(encode(fits), text_budget)


def _as_arrays(sources: list[Source]) -> Arrays:
    return {
        "ids": np.concatenate([np.asarray(source, dtype=np.int32) for source in sources]),
        "ends": np.cumsum([len(source) for source in sources]),
        "lost": np.array([source.lost for source in sources]),
    }
