"""The miniature: official schemas, reproducible, and too balanced for a constant answer."""

import hashlib
import itertools
import json
import random
import re

import pytest
from pretraining_grammars import PRETRAINING, endless_text

from rpt.data import miniature
from rpt.data.miniature.lexicon import COLOURS, NAMES, PLACES, THINGS, VERBS
from rpt.tasks import PROTOCOLS, TASKS, get_task

ROWS_OF_SEED_0 = {  # SHA-256 of the rows that the committed records rest on
    "boolq": "ff17e1db75cf241e",
    "cb": "9512085239966212",
    "copa": "73a7b54b31de206a",
    "multirc": "63a5d3883e034b8b",
    "record": "ac98319d4843ff05",
    "rte": "8532fbbeeb23e0d2",
    "wic": "6514621cf89c73cb",
    "wsc": "c768ea198a7a0dbe",
}


@pytest.mark.parametrize("task", TASKS)
def test_rows_never_change(task):
    splits = (json.dumps(miniature.rows(task, split)).encode() for split in ("train", "val"))
    assert hashlib.sha256(b"".join(splits)).hexdigest()[:16] == ROWS_OF_SEED_0[task]


def test_running_texts_never_change():
    """The nano backbones were pre-trained on these grammars."""
    texts = "\n".join(itertools.islice(endless_text(0), 2000))
    assert hashlib.sha256(texts.encode()).hexdigest()[:16] == "09e6cdab00ac9415"


@pytest.mark.parametrize("task", TASKS)
def test_rows_are_official_reproducible_and_disjoint(task):
    train, val = (miniature.rows(task, split) for split in ("train", "val"))
    assert (len(train), len(val)) == miniature.SPLIT_SIZES[task]
    assert train == miniature.rows(task, "train") != miniature.rows(task, "train", seed=1)
    for protocol in PROTOCOLS:
        bound = get_task(task, protocol=protocol)
        texts = [{bound.source(e) for row in rows for e in bound.parse(row)} for rows in (train, val)]
        assert not texts[0] & texts[1] or task in ("wsc", "copa", "wic"), texts[0] & texts[1]
        assert all(text.strip() and "{" not in text for part in texts for text in part)


@pytest.mark.parametrize(("task", "share"), [("cb", 1.0), ("wsc", 1.0), ("copa", 0.4), ("wic", 0.4)])
def test_what_is_held_out_was_not_in_pretraining(task, share):
    """The share of rows that pre-training cannot draw."""

    def kind(row):  # the row without its names, things, colours and places, of which any could stand anywhere
        (example,) = get_task(task).parse(row)
        return re.sub("|".join([*NAMES, *THINGS, *COLOURS, *PLACES]), "", get_task(task).source(example))

    draw = random.Random(0)
    seen = {kind(miniature.row(task, draw, PRETRAINING)) for _ in range(5000)}
    rows = miniature.rows(task, "val")
    assert sum(kind(row) not in seen for row in rows) >= share * len(rows)


def test_most_false_answers_of_multirc_are_of_nothing_in_the_passage():
    examples = [e for row in miniature.rows("multirc", "val") for e in get_task("multirc").parse(row)]
    false = [e for e in examples if not e.label]
    assert sum(e.fields["answer"].split()[-1] not in e.fields["paragraph"] for e in false) > len(false) / 2


@pytest.mark.parametrize("task", [name for name, task in TASKS.items() if task.labels])
def test_labels_are_mixed(task):
    examples = [e for row in miniature.rows(task, "train") for e in get_task(task).parse(row)]
    shares = [sum(e.label == label for e in examples) / len(examples) for label in range(len(TASKS[task].labels))]
    assert min(shares) > 0.05 and max(shares) < 0.7


def test_boolq_answers_follow_from_the_passage():
    """Read the texts independently: the answer is yes exactly if the passage states what is asked."""
    infinitive = {past: verb for verb, past, _ in VERBS}
    for row in miniature.rows("boolq", "val"):
        told = set()
        for sentence in row["passage"].rstrip(".").split(". "):
            who, verb, _, colour, thing, _, _, place = sentence.split()
            told |= {f"did {who} {infinitive[verb]} a {thing}", f"was the {thing} {colour}"}
            told |= {f"was the {thing} in the {place}"}
        assert (row["question"] in told) == row["label"]


def test_record_answers_are_entities_of_the_passage():
    for row in miniature.rows("record", "val"):
        (example,) = get_task("record").parse(row)
        assert set(example.answers) <= set(example.fields["entities"]) <= set(NAMES)
        assert len(example.fields["entities"]) >= 2
