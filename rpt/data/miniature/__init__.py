"""SuperGLUE in miniature. Our own grammars make eight small tasks from a seed, in the official schemas.

Every text is about one small world (people, things, places, causes, words with two senses), so that a backbone
of a few million parameters can be pre-trained on it in an hour or two on two cores and prompts can be tuned in minutes.
The rows are ours and free to share. Scores on them are miniature scores: never comparable with SuperGLUE's.

lexicon.py has the words, facts.py what is said of things, grammars.py the eight tasks as pre-training has them,
held_out.py those five that the benchmark has in another form, texts.py running texts.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from rpt.data.miniature import grammars, held_out
from rpt.data.miniature.grammars import Row

SPLIT_SIZES = {  # train, val; about a tenth of the benchmark's, WSC and CB as small as there
    "boolq": (900, 300),
    "cb": (250, 112),
    "copa": (400, 200),
    "multirc": (160, 60),  # paragraphs, about six answers each
    "record": (700, 200),
    "rte": (800, 300),
    "wic": (800, 300),
    "wsc": (550, 200),
}

Grammars = dict[str, Callable[[random.Random], Row]]
PRETRAINING: Grammars = {name: getattr(grammars, name) for name in SPLIT_SIZES}
GRAMMARS = PRETRAINING | {name: getattr(held_out, name) for name in ("cb", "copa", "multirc", "wic", "wsc")}


def rows(task: str, split: str, seed: int = 0, by: Grammars = GRAMMARS) -> list[Row]:
    """The rows of a miniature task in the official SuperGLUE schema.

    Args:
        task: one of the eight names, e.g. "boolq".
        split: "train" or "val"; no text of the one stands in the other.
        seed: of the whole benchmark; 0 is the one that the committed records use.
        by: the grammars; those of pre-training give other rows for five of the tasks.
    """
    n_train, n_val = SPLIT_SIZES[task]
    draw = random.Random(f"miniature {task} {seed}")
    made: list[Row] = []
    seen: set[str] = set()
    while len(made) < n_train + n_val:
        made_row = row(task, draw, by)
        if (key := repr(made_row)) not in seen:
            seen.add(key)
            made.append(made_row)
    chosen = made[n_val:] if split == "train" else made[:n_val]
    return [_numbered(made_row, i) for i, made_row in enumerate(chosen)]


def row(task: str, draw: random.Random, by: Grammars = GRAMMARS) -> Row:
    """One fresh row of a task."""
    return _numbered(by[task](draw), 0)


def _numbered(row: Row, i: int) -> Row:
    """The row with the official `idx` at each level."""
    for question in row.get("qas", []):
        question["idx"] = i
    if "questions" in (nested := row.get("passage", "")):
        for q, question in enumerate(nested["questions"], start=10 * i):
            question["idx"] = q
            for a, answer in enumerate(question["answers"], start=10 * q):
                answer["idx"] = a
    return row | {"idx": i}
