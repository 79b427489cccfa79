"""Files for the SuperGLUE server. One JSON line per example, `{"idx": ..., "label": ...}`.

MultiRC's lines are nested as its rows are: `{"idx": ..., "passage": {"questions": [{"idx": ..., "answers": [...]}]}}`.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from rpt.tasks.base import Task
from rpt.tasks.examples import Example
from rpt.tasks.fields import Row

# What the server calls the labels, where it does not call them as the task does.
LABELS: dict[str, tuple[Any, ...]] = {
    "boolq": ("false", "true"), "wic": ("false", "true"), "copa": (0, 1), "multirc": (0, 1),
}  # fmt: skip

DIAGNOSTICS = {"sentence1": "AX-b", "pair_id": "AX-g"}  # fields that only their official rows have

# Rows of the benchmark's test splits; of MultiRC its answers, of ReCoRD its queries.
TEST_ROWS = {
    "boolq": 3245, "cb": 250, "copa": 500, "multirc": 9693, "record": 10000, "rte": 3000, "wic": 1400, "wsc": 146,
    "AX-b": 1104, "AX-g": 356,
}  # fmt: skip

Index = int | tuple[int, int, int]


class SubmissionError(ValueError):
    """A file that the server would not take; the message names the line and the remedy."""


def file_name(task: Task, rows: Iterable[Row] = ()) -> str:
    """As the server wants it: BoolQ.jsonl.

    Args:
        rows: raw ones; an RTE prompt may be given those of AX-b or AX-g.

    Raises:
        SubmissionError: they are of several sets.
    """
    fields = DIAGNOSTICS.items() if task.name == "rte" else ()
    names = {next((name for field, name in fields if field in row), task.folder) for row in rows}
    if len(names) > 1:
        raise SubmissionError(f"The rows are of {' and '.join(sorted(names))}; give those of one file.")
    return f"{next(iter(names), task.folder)}.jsonl"


def check_test_rows(task: Task, rows: Sequence[Row], examples: Sequence[Example], name: str) -> None:
    """Check that these are the rows of the test split, before they are answered: each once, as many as there are, with
    the split's idx and fields, and without labels.

    Args:
        rows: raw ones, that the examples were read from.
        name: of the file that the answers are for.

    Raises:
        SubmissionError: they are not.
    """
    validate(task, lines(task, examples, [None] * len(examples)), examples, name)
    split = name.removesuffix(".jsonl")
    is_diagnostic = split in DIAGNOSTICS.values()
    n_rows = TEST_ROWS[split if is_diagnostic else task.name]
    wanted = f"{split} has {n_rows:,} test examples"
    for field, diagnostics in DIAGNOSTICS.items():
        if diagnostics != split and field not in task.columns and any(field in row for row in rows):
            raise SubmissionError(f"{wanted}, without a field {field!r}: that is of {diagnostics}; give a run of RTE.")
    if len(examples) != n_rows:
        raise SubmissionError(f"{wanted}, and these are {len(examples):,}; give the official test file.")
    if not is_diagnostic and any(example.label is not None or example.answers for example in examples):
        raise SubmissionError(f"{wanted}, without labels, and these have some; give the official test file.")
    numbers = {index[-1] if isinstance(index, tuple) else index for index in (index_of(task, e) for e in examples)}
    if numbers != set(range(n_rows)):
        raise SubmissionError(
            f"{wanted}, with idx 0 to {n_rows - 1}, and these have {min(numbers)} to {max(numbers)}; "
            "give the official test file."
        )


def lines(task: Task, examples: Sequence[Example], predictions: Sequence[int | str | None]) -> list[str]:
    """The lines of the task's file.

    Args:
        predictions: label indices, None where the backbone gave no label (the server wants one: the first), or texts
            where answers are generated. WSC's are compared with the noun as under `superglue`; of ReCoRD's, which may
            list several entities, the first is given; one entity is given whole.
    """
    answers: list[tuple[Any, Any]] = [
        (index_of(task, e), _label(task, e, p)) for e, p in zip(examples, predictions, strict=True)
    ]
    if task.name != "multirc":
        return [json.dumps({"idx": index, "label": label}) for index, label in answers]
    passages: dict[int, dict[int, list]] = defaultdict(lambda: defaultdict(list))
    for (paragraph, question, answer), label in answers:
        passages[paragraph][question].append({"idx": answer, "label": label})
    return [
        json.dumps({"idx": p, "passage": {"questions": [{"idx": q, "answers": a} for q, a in questions.items()]}})
        for p, questions in passages.items()
    ]


def index_of(task: Task, example: Example) -> Index:
    """What names an example in a submission."""
    if task.name == "multirc":
        return example.idx["paragraph"], example.idx["question"], example.idx["answer"]
    return example.idx["query"] if task.name == "record" else example.idx


def _label(task: Task, example: Example, prediction: Any) -> Any:
    if task.name == "record":
        if prediction in example.fields["entities"]:
            return prediction
        return (prediction or "").split(";")[0].strip()
    if isinstance(prediction, str):  # WSC's referent
        prediction = task.find_label(prediction, example)
    return LABELS.get(task.name, task.labels)[prediction or 0]


def validate(task: Task, written: Sequence[str], examples: Sequence[Example], name: str | None = None) -> None:
    """Check that the lines answer each example once and in the server's words.

    Args:
        name: of the file, for messages.

    Raises:
        SubmissionError: they do not.
    """
    name, wanted = name or file_name(task), {index_of(task, example) for example in examples}
    seen: set[Index] = set()
    for number, line in enumerate(written, start=1):
        try:
            answers = list(_answers(task, json.loads(line)))
        except (ValueError, TypeError, KeyError) as error:
            shape = '{"idx": ..., "passage": ...}' if task.name == "multirc" else '{"idx": ..., "label": ...}'
            raise SubmissionError(f"{name}, line {number} is not of the form {shape}: {line:.80}") from error
        for index, label in answers:
            if index not in wanted:
                raise SubmissionError(f"{name}, line {number}: there is no example {index}; leave the line out.")
            if index in seen:
                raise SubmissionError(f"{name}, line {number}: example {index} is answered twice; keep one line.")
            allowed = LABELS.get(task.name, task.labels)
            known = isinstance(label, str) if not task.labels else any(_same(label, word) for word in allowed)
            if not known:
                what = f"one of {', '.join(map(json.dumps, allowed))}" if allowed else "a text"
                raise SubmissionError(f"{name}, line {number}: label {json.dumps(label)} of {index} should be {what}.")
            seen.add(index)
    if missing := sorted(wanted - seen):
        raise SubmissionError(f"{name} lacks example {missing[0]} ({len(missing)} in all); predict every test row.")


def _same(label: Any, allowed: Any) -> bool:
    """Equal and of one type: to Python, true is 1."""
    return type(label) is type(allowed) and label == allowed


def _answers(task: Task, line: dict[str, Any]) -> Iterator[tuple[Index, Any]]:
    if task.name != "multirc":
        index, label = line["idx"], line["label"]
        yield _int(index), label
        return
    for question in line["passage"]["questions"]:
        for answer in question["answers"]:
            yield (_int(line["idx"]), _int(question["idx"]), _int(answer["idx"])), answer["label"]


def _int(index: Any) -> int:
    if type(index) is not int:
        raise TypeError(f"idx {index!r} is no whole number")
    return index
