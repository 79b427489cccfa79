"""Examples as token ids, made once per (rows, tokenizer, protocol, room) and cached on disk."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save
from transformers import PreTrainedTokenizerBase

from rpt.data.splits import fingerprint
from rpt.files import write_atomically
from rpt.tasks import Example, Task

Tokens = list[int]
LAYOUT = 1  # of the cache files; raise it when what is stored changes


def encode_sources(
    examples: list[Example], task: Task, protocol: str, tokenizer: PreTrainedTokenizerBase, room: int,
    cache: Path | None = None,
) -> list[Tokens]:  # fmt: skip
    """Token ids of the sources, each at most `room` long with one end marker; cached where a folder is given.

    What is too long loses the end of its longest field (a passage), never the question or the answer.
    """
    if cache is None:
        return _tokenise(examples, task, protocol, tokenizer, room)
    made_of = [LAYOUT, task.name, task.version, protocol, room, tokenizer_fingerprint(tokenizer), fingerprint(examples)]
    path = cache / f"{hashlib.sha256(repr(made_of).encode()).hexdigest()[:32]}.safetensors"
    sources = _from_cache(path)
    if sources is None:
        sources = _tokenise(examples, task, protocol, tokenizer, room)
        _to_cache(path, sources)
    return sources


def encode_answers(texts: list[str], tokenizer: PreTrainedTokenizerBase, longest: int | None = None) -> list[Tokens]:
    """Token ids of answers with their end marker, cut to `longest` tokens (PROTOCOL: ReCoRD's ten)."""
    answers = tokenizer(list(texts))["input_ids"]
    return [ids if longest is None or len(ids) <= longest else [*ids[: longest - 1], ids[-1]] for ids in answers]


def tokenizer_fingerprint(tokenizer: PreTrainedTokenizerBase) -> str:
    """Of the whole vocabulary and its rules."""
    return hashlib.sha256(tokenizer.backend_tokenizer.to_str().encode()).hexdigest()[:16]


def _tokenise(
    examples: list[Example], task: Task, protocol: str, tokenizer: PreTrainedTokenizerBase, room: int
) -> list[Tokens]:
    texts = [task.source(example, protocol) for example in examples]
    sources = tokenizer(texts, truncation=False, verbose=False)["input_ids"]
    for i, source in enumerate(sources):
        if len(source) > room:
            sources[i] = _cut(examples[i], task, protocol, tokenizer, room)
    return sources


def _cut(example: Example, task: Task, protocol: str, tokenizer: PreTrainedTokenizerBase, room: int) -> Tokens:
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
        fits, too_many = (middle, too_many) if len(source(middle)) <= room else (fits, middle)
    ids = source(fits)
    return ids if len(ids) <= room else [*ids[: room - 1], ids[-1]]


def _from_cache(path: Path) -> list[Tokens] | None:
    try:
        stored = load_file(path)
        return [row.tolist() for row in np.split(stored["ids"], stored["ends"][:-1])]
    except Exception:  # no file, or one that a full disk cut short: the rows are tokenised again
        return None


def _to_cache(path: Path, sources: list[Tokens]) -> None:
    arrays = {
        "ids": np.concatenate([np.asarray(source, dtype=np.int32) for source in sources]),
        "ends": np.cumsum([len(source) for source in sources]),
    }
    write_atomically(path, save(arrays))
