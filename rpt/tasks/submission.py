"""The files that the SuperGLUE server takes. One JSON line per example, `{"idx": ..., "label": ...}`.

MultiRC's lines are nested like its rows: `{"idx": ..., "passage": {"questions": [{"idx": ..., "answers": [...]}]}}`.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeAlias

from rpt.tasks.base import Task
from rpt.tasks.examples import Example, Prediction
from rpt.tasks.fields import RawRow

ServerLabel: TypeAlias = str | int

# The server's names of the labels, where they differ from the task's.
LABELS: dict[str, tuple[ServerLabel, ...]] = {
    "boolq": ("false", "true"), "wic": ("false", "true"), "copa": (0, 1), "multirc": (0, 1),
}  # fmt: skip

DIAGNOSTICS = {"sentence1": "AX-b", "pair_id": "AX-g"}  # by a field that only their official rows have

# Sizes of the benchmark's test splits: rows; for MultiRC answers, for ReCoRD queries.
TEST_ROWS = {
    "boolq": 3245, "cb": 250, "copa": 500, "multirc": 9693, "record": 10000, "rte": 3000, "wic": 1400, "wsc": 146,
    "AX-b": 1104, "AX-g": 356,
}  # fmt: skip

Index = int | tuple[int, int, int]


class SubmissionError(ValueError):
    """A file that the server would refuse; the message names the line and the remedy."""


def file_name(task: Task, rows: Iterable[RawRow] = ()) -> str:
    """The file name that the server expects: BoolQ.jsonl.

    Args:
        rows: raw rows; an RTE prompt may also answer those of AX-b or AX-g.

    Raises:
        SubmissionError: the rows belong to several data sets.
    """
    fields = DIAGNOSTICS.items() if task.name == "rte" else ()
    names = {next((name for field, name in fields if field in row), task.folder) for row in rows}
    if len(names) > 1:
        raise SubmissionError(f"The rows are of {' and '.join(sorted(names))}; give those of one file.")
    return f"{next(iter(names), task.folder)}.jsonl"


def check_test_rows(task: Task, rows: Sequence[RawRow], examples: Sequence[Example], name: str) -> None:
    """Check before predicting that these are the rows of the test split: all of them, each once, with the split's idx
    and fields, and without labels.

    Args:
        rows: raw rows, from which the examples were parsed.
        name: of the submission file.

    Raises:
        SubmissionError: they are not the rows of the test split.
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
    numbers = {index[-1] if isinstance(index, tuple) else index for index in (find_index(task, e) for e in examples)}
    if numbers != set(range(n_rows)):
        raise SubmissionError(
            f"{wanted}, with idx 0 to {n_rows - 1}, and these have {min(numbers)} to {max(numbers)}; "
            "give the official test file."
        )


def lines(task: Task, examples: Sequence[Example], predictions: Sequence[Prediction]) -> list[str]:
    """The lines of the task's file.

    Args:
        predictions: label indices; None if the backbone gave no label (the file then has the first label, as the server
            requires one); texts if answers are open. A text of WSC is compared with the noun as under `superglue`; of a
            text of ReCoRD that lists several entities, the file has the first.
    """
    labelled = [(example, _label(task, example, p)) for example, p in zip(examples, predictions, strict=True)]
    if task.name != "multirc":
        return [json.dumps({"idx": find_index(task, example), "label": label}) for example, label in labelled]
    passages: dict[int, dict[int, list[dict[str, ServerLabel]]]] = defaultdict(lambda: defaultdict(list))
    for example, label in labelled:
        idx = example.idx
        passages[idx["paragraph"]][idx["question"]].append({"idx": idx["answer"], "label": label})
    return [
        json.dumps({"idx": p, "passage": {"questions": [{"idx": q, "answers": a} for q, a in questions.items()]}})
        for p, questions in passages.items()
    ]


def find_index(task: Task, example: Example) -> Index:
    """The index that identifies an example in a submission."""
    if task.name == "multirc":
        return example.idx["paragraph"], example.idx["question"], example.idx["answer"]
    return example.idx["query"] if task.name == "record" else example.idx


def _label(task: Task, example: Example, prediction: Prediction) -> ServerLabel:
    if task.name == "record":
        text = str(prediction or "")
        return text if text in example.fields["entities"] else text.split(";")[0].strip()
    label = task.find_label(prediction, example) if isinstance(prediction, str) else prediction  # a text: WSC's
    return LABELS.get(task.name, task.labels)[label or 0]


def validate(task: Task, written: Sequence[str], examples: Sequence[Example], name: str | None = None) -> None:
    """Check that the lines answer each example once, with the server's names of labels.

    Args:
        name: of the file, for messages.

    Raises:
        SubmissionError: they do not.
    """
    name, wanted = name or file_name(task), {find_index(task, example) for example in examples}
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


def _same(label: object, allowed: ServerLabel) -> bool:
    """Whether they are equal and of one type: to Python, True equals 1."""
    return type(label) is type(allowed) and label == allowed


def _answers(task: Task, line: dict[str, Any]) -> Iterator[tuple[Index, object]]:
    if task.name != "multirc":
        index, label = line["idx"], line["label"]
        yield _int(index), label
        return
    for question in line["passage"]["questions"]:
        for answer in question["answers"]:
            yield (_int(line["idx"]), _int(question["idx"]), _int(answer["idx"])), answer["label"]


def _int(index: object) -> int:
    if type(index) is not int:
        raise TypeError(f"idx {index!r} is no whole number")
    return index
