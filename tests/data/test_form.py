"""Validation rows of another form than the training rows are reported; official and miniature rows are not."""

import random
from dataclasses import replace

import pytest

from rpt.config import DataConfig
from rpt.data.form import compare_forms
from rpt.data.sources import read_examples
from rpt.tasks import TASKS, Example, get_task

BOOLQ = get_task("boolq")


def passages(n, title="Ulm -- ", length=20, seed=0, label=lambda i: i % 2):
    draw = random.Random(seed)
    texts = [title + " ".join(draw.choices(["red", "dog", "cat", "sat"], k=length)) for _ in range(n)]
    return [Example({"passage": text, "question": "is it"}, label(i), idx=i) for i, text in enumerate(texts)]


@pytest.mark.parametrize(
    ("changed", "difference"),
    [
        ({"title": ""}, "passage with a title 100 % and 0 %"),
        ({"length": 80}, "passage of 22 and 82 words in the median"),
        ({"label": lambda i: 0}, "label False 50 % and 100 %; label True 50 % and 0 %"),
    ],
)
def test_what_differs_is_named_in_one_line(changed, difference):
    train = passages(200)
    assert compare_forms(BOOLQ, train, passages(100, seed=1)) is None
    assert compare_forms(BOOLQ, train, passages(100, seed=1, **changed)) == (
        f"boolq: training and validation rows differ in form, {difference}: see whether both files are of one release."
    )


def test_repeated_passages_are_named():
    val = [replace(example, fields=passages(1)[0].fields) for example in passages(100)]
    assert "passage repeated 0 % and 99 %" in compare_forms(BOOLQ, passages(200), val)


def test_a_few_rows_may_differ_by_chance():
    assert compare_forms(BOOLQ, passages(200), passages(6, label=lambda i: 0)) is None


@pytest.mark.parametrize("task", TASKS)
def test_the_miniature_is_of_one_form(task):
    examples = read_examples(DataConfig("mini"), get_task(task))
    assert compare_forms(get_task(task), examples["train"], examples["val"]) is None


@pytest.mark.parametrize("task", sorted(set(TASKS) - {"record"}))
def test_the_official_rows_are_of_one_form(shared, task):
    examples = read_examples(DataConfig("folder", dir=str(shared / "superglue")), get_task(task))
    assert compare_forms(get_task(task), examples["train"], examples["val"]) is None
    if task == "boolq":  # as its validation file once was
        bare = [
            replace(e, fields={**e.fields, "passage": e.fields["passage"].split(" -- ", 1)[-1]})
            for e in examples["val"]
        ]
        assert "passage with a title 100 % and" in compare_forms(get_task(task), examples["train"], bare)
