"""The files that the SuperGLUE server takes. One JSON line per example, `{"idx": ..., "label": ...}`.

MultiRC's lines are nested like its rows: `{"idx": ..., "passage": {"questions": [{"idx": ..., "answers": [...]}]}}`.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import TypeAlias

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
    """Rows whose answers the server would refuse; the message names the file and the remedy."""


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
    indices = [find_index(task, example) for example in examples]
    seen: set[Index] = set()
    for number, index in enumerate(indices, start=1):
        if index in seen:
            place = name if isinstance(index, tuple) else f"{name}, line {number}"
            raise SubmissionError(f"{place}: example {index} is answered twice; keep one line.")
        seen.add(index)
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
    numbers = {index[-1] if isinstance(index, tuple) else index for index in indices}
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
