"""SuperGLUE in miniature. Our own grammars make eight small tasks from a seed, in the official schemas.

All texts describe one small world (people, things, places, causes, words with two senses), so that two cores pre-train
a backbone of a few million parameters in an hour or two and tune prompts in minutes. The rows are ours and free to
share. Scores on them are miniature scores: never compare them with SuperGLUE's.

lexicon.py has the vocabulary, facts.py statements about things, grammars.py the eight tasks.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from rpt.data.miniature import grammars
from rpt.data.miniature.grammars import GeneratedRow

SPLIT_SIZES = {  # train, val: about a tenth of the benchmark's sizes; WSC and CB have the benchmark's
    "boolq": (900, 300),
    "cb": (250, 112),
    "copa": (400, 200),
    "multirc": (160, 60),  # paragraphs, about six answers each
    "record": (700, 200),
    "rte": (800, 300),
    "wic": (800, 300),
    "wsc": (550, 200),
}

Grammars = dict[str, Callable[[random.Random], GeneratedRow]]
GRAMMARS: Grammars = {name: getattr(grammars, name) for name in SPLIT_SIZES}


def rows(task: str, split: str, seed: int = 0, by: Grammars = GRAMMARS) -> list[GeneratedRow]:
    """The rows of a miniature task in the official SuperGLUE schema.

    Args:
        task: one of the eight names, e.g. "boolq".
        split: "train" or "val"; they share no row.
        seed: of the whole benchmark; the committed records use 0.
        by: the grammars; those of pre-training give different rows for five of the tasks.
    """
    n_train, n_val = SPLIT_SIZES[task]
    draw = random.Random(f"miniature {task} {seed}")
    made: list[GeneratedRow] = []
    seen: set[str] = set()
    while len(made) < n_train + n_val:
        made_row = row(task, draw, by)
        if (key := repr(made_row)) not in seen:
            seen.add(key)
            made.append(made_row)
    chosen = made[n_val:] if split == "train" else made[:n_val]
    return [_numbered(made_row, i) for i, made_row in enumerate(chosen)]


def row(task: str, draw: random.Random, by: Grammars = GRAMMARS) -> GeneratedRow:
    """One fresh row of a task."""
    return _numbered(by[task](draw), 0)


def _numbered(row: GeneratedRow, i: int) -> GeneratedRow:
    """The row with the official `idx` at each level."""
    for question in row.get("qas", []):
        question["idx"] = i
    if "questions" in (nested := row.get("passage", "")):
        for q, question in enumerate(nested["questions"], start=10 * i):
            question["idx"] = q
            for a, answer in enumerate(question["answers"], start=10 * q):
                answer["idx"] = a
    return row | {"idx": i}
