"""Which examples train, choose, are reported."""

from __future__ import annotations

import hashlib
import json
import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from rpt.config import DataConfig, ProtocolConfig
from rpt.errors import UsageError
from rpt.tasks import Example, Task


@dataclass(frozen=True)
class TaskData:
    """The examples of one run.

    task: their task, under the run's protocol.
    train: the prompt trains on them; select: they select the best checkpoint; report: the record's scores are on them.
    Under selection=reported (as in the paper) the last two are the same list.
    fingerprint: SHA-256 of all of them in order, which shows whether two records used the same rows.
    form: how the form of training and validation rows differs oddly; None if it does not.
    """

    task: Task
    train: list[Example]
    select: list[Example]
    report: list[Example]
    fingerprint: str
    form: str | None = None


def split_examples(
    examples: dict[str, list[Example]], task: Task, data: DataConfig, protocol: ProtocolConfig
) -> TaskData:
    """Split {"train", "val"} into a run's train, select and report examples.

    Raises:
        UsageError: no row has an answer, or there are too few rows for the held-out share or the shots.
    """
    train = [example for example in examples["train"] if task.targets(example)]
    report = [example for example in examples["val"] if task.evaluated(example)]
    if not train or not report:
        rows = "training" if not train else "validation"
        raise UsageError(f"Task {task.name} has no {rows} rows with an answer; label some, or give other rows.")
    select = report
    if protocol.selection == "held_out":
        train, select = _hold_out(train, task, protocol.held_out)
    if data.shots is not None:
        train = _few(train, task, data.shots, data.shots_seed)
    return TaskData(task, train, select, report, fingerprint([*train, *select, *report]))


def _hold_out(train: list[Example], task: Task, share: float) -> tuple[list[Example], list[Example]]:
    """Hold out a share of the examples, the same for every run, and about the same share of every label.

    Rows that share a subject stay on one side: apart, they would leak labels, as official validation rows do not. To
    memorise the answer to one of WSC's twins is to get the other wrong. WiC pairs the same sentences again and again:
    to memorise which of them share a sense is to know the label of another pair.
    """
    about = [i if (subject := task.subject(example)) is None else subject for i, example in enumerate(train)]
    labels = {subject: str(example.label) for subject, example in zip(about, train, strict=True)}
    subjects = sorted(labels, key=str)
    random.Random(0).shuffle(subjects)
    subjects.sort(key=labels.__getitem__)  # then hold out subjects at even distances
    n_held = max(1, round(share * len(subjects)))
    if n_held == len(subjects):
        raise UsageError("Too few training rows to hold some out; use protocol.selection=reported.")
    held = {subjects[int((i + 0.5) * len(subjects) / n_held)] for i in range(n_held)}
    rest = [example for subject, example in zip(about, train, strict=True) if subject not in held]
    return rest, [example for subject, example in zip(about, train, strict=True) if subject in held]


def _few(train: list[Example], task: Task, shots: int, seed: int) -> list[Example]:
    """`shots` examples of each class (of all examples if answers are open), drawn by the seed (paper, figure 5)."""
    classes = sorted({example.label for example in train}, key=str)
    chosen = []
    for label in classes:
        members = [i for i, example in enumerate(train) if example.label == label]
        if len(members) < shots:
            what = "are there" if label is None else f"have label {task.labels[label]}"
            raise UsageError(f"data.shots={shots}, but only {len(members)} training rows {what}; give fewer shots.")
        chosen += random.Random(f"{seed} {label}").sample(members, shots)
    return [train[i] for i in sorted(chosen)]


def fingerprint(examples: list[Example]) -> str:
    """SHA-256 of the examples' contents in order."""
    digest = hashlib.sha256()
    for example in examples:
        digest.update(json.dumps(vars(example), sort_keys=True, default=_as_dict).encode())
    return digest.hexdigest()


def _as_dict(value: object) -> dict[str, object]:
    """A mapping or a dataclass for JSON; `dataclasses.asdict` takes four times as long."""
    return dict(value) if isinstance(value, Mapping) else vars(value)


def majority_scores(data: TaskData) -> dict[str, float]:
    """Scores of the baseline that always gives the training rows' most frequent answer. If several answers are equally
    frequent, as in few-shot rows, it gives the one that scores best."""
    task = data.task
    counts = Counter(target for example in data.train for target in task.targets(example))
    (first, most), *_ = counts.most_common(1)
    tied = [first] if task.verbalizers is None else [answer for answer, count in counts.items() if count == most]
    # `interpret` compares an answer exactly as it compares the backbone's output.
    scores = [task.score(data.report, [task.interpret(answer, e) for e in data.report]) for answer in tied]
    return max(scores, key=lambda each: each["score"])
