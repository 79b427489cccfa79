"""Examples as token ids, made once per (rows, tokenizer, protocol, text budget) and cached on disk."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import numpy as np
from transformers import PreTrainedTokenizerBase

from rpt.data.cache import Arrays, cached
from rpt.data.splits import fingerprint
from rpt.tasks import Example, Task

Tokens = list[int]
LAYOUT = 1  # of the cache files; raise it when what is stored changes


def encode_sources(
    examples: list[Example], task: Task, protocol: str, tokenizer: PreTrainedTokenizerBase, text_budget: int,
    cache: Path | None = None,
) -> list[Tokens]:  # fmt: skip
    """Token ids of the sources, each at most `text_budget` long with one end marker; cached where a folder is given.

    What is too long loses the end of its longest field (a passage), never the question or the answer.

    Args:
        text_budget: tokens that the prompt leaves to the text.
    """
    if cache is None:
        return _tokenise(examples, task, protocol, tokenizer, text_budget)
    asked = [task.name, task.version, protocol, text_budget]
    made_of = [LAYOUT, *asked, tokenizer_fingerprint(tokenizer), fingerprint(examples)]
    arrays = cached(cache, made_of, lambda: _as_arrays(_tokenise(examples, task, protocol, tokenizer, text_budget)))
    return [row.tolist() for row in np.split(arrays["ids"], arrays["ends"][:-1])]


def encode_answers(texts: list[str], tokenizer: PreTrainedTokenizerBase, longest: int | None = None) -> list[Tokens]:
    """Token ids of answers and their end marker, cut to `longest` tokens (published code: ReCoRD's ten)."""
    answers = tokenizer(list(texts))["input_ids"]
    return [ids if longest is None or len(ids) <= longest else [*ids[: longest - 1], ids[-1]] for ids in answers]


def tokenizer_fingerprint(tokenizer: PreTrainedTokenizerBase) -> str:
    """Of the whole vocabulary and its rules."""
    return hashlib.sha256(tokenizer.backend_tokenizer.to_str().encode()).hexdigest()[:16]


def _tokenise(
    examples: list[Example], task: Task, protocol: str, tokenizer: PreTrainedTokenizerBase, text_budget: int
) -> list[Tokens]:
    texts = [task.source(example, protocol) for example in examples]
    sources = tokenizer(texts, truncation=False, verbose=False)["input_ids"]
    for i, source in enumerate(sources):
        if len(source) > text_budget:
            sources[i] = _cut(examples[i], task, protocol, tokenizer, text_budget)
    return sources


def _cut(example: Example, task: Task, protocol: str, tokenizer: PreTrainedTokenizerBase, text_budget: int) -> Tokens:
    """The source with as many words of its longest field as fit (binary search)."""
    texts = {name: value for name, value in example.fields.items() if isinstance(value, str)}
    longest = max(texts, key=lambda name: len(texts[name]))
    words = texts[longest].split(" ")

    def source(n: int) -> Tokens:
        fields = {**example.fields, longest: " ".join(words[:n])}
        return tokenizer(task.source(dataclasses.replace(example, fields=fields), protocol), verbose=False)["input_ids"]

    fits, too_many = 0, len(words)
    while too_many - fits > 1:
        middle = (fits + too_many) // 2
        fits, too_many = (middle, too_many) if len(source(middle)) <= text_budget else (fits, middle)
    ids = source(fits)
    return ids if len(ids) <= text_budget else [*ids[: text_budget - 1], ids[-1]]


def _as_arrays(sources: list[Tokens]) -> Arrays:
    return {
        "ids": np.concatenate([np.asarray(source, dtype=np.int32) for source in sources]),
        "ends": np.cumsum([len(source) for source in sources]),
    }
