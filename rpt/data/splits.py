"""Which examples train, choose, are reported."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import random
from collections import Counter
from dataclasses import dataclass

from rpt.config import DataConfig, ProtocolConfig
from rpt.errors import UsageError
from rpt.tasks import Example, Task


@dataclass(frozen=True)
class TaskData:
    """The examples of one run.

    task: what they are examples of, under the run's protocol.
    train: what the prompt is trained on; select: what chooses the best checkpoint; report: what the record's
    scores are on. Under selection=reported (the paper's way) the last two are the same list.
    fingerprint: SHA-256 of all of them in order, so that two records can be told to rest on the same rows.
    form: how the source's training and validation rows oddly differ in form; None if they do not.
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
    """Cut {"train", "val"} into a run's train, select and report examples.

    Raises:
        UsageError: no row has an answer, or there are too few to hold some out or for the shots.
    """
    train = [example for example in examples["train"] if task.targets(example)]
    report = [example for example in examples["val"] if task.evaluated(example)]
    if not train or not report:
        raise UsageError(f"Task {task.name} has no {'training' if not train else 'validation'} rows with an answer.")
    select = report
    if protocol.selection == "held_out":
        train, select = _hold_out(train, task, protocol.held_out)
    if data.shots is not None:
        train = _few(train, data.shots, data.shots_seed)
    return TaskData(task, train, select, report, fingerprint([*train, *select, *report]))


def _hold_out(train: list[Example], task: Task, share: float) -> tuple[list[Example], list[Example]]:
    """Split off a share of the examples, the same for every run: the same share of every label, as far as a label has
    subjects of its own. Rows about one subject stay on one side, for apart they tell of each other as official
    validation rows do not. Who knows the answer to one of WSC's twins by heart gets the other wrong; WiC pairs the same
    sentences again and again, and who knows which have one sense of a word knows the label of another pair."""

    about = [i if (subject := task.subject(example)) is None else subject for i, example in enumerate(train)]
    labels = {subject: str(example.label) for subject, example in zip(about, train, strict=True)}
    subjects = sorted(labels, key=str)
    random.Random(0).shuffle(subjects)
    subjects.sort(key=labels.__getitem__)  # then one subject out of every so many
    n_held = max(1, round(share * len(subjects)))
    if n_held == len(subjects):
        raise UsageError("Too few training rows to hold some out; use protocol.selection=reported.")
    held = {subjects[int((i + 0.5) * len(subjects) / n_held)] for i in range(n_held)}
    kept = [example for subject, example in zip(about, train, strict=True) if subject not in held]
    return kept, [example for subject, example in zip(about, train, strict=True) if subject in held]


def _few(train: list[Example], shots: int, seed: int) -> list[Example]:
    """`shots` examples of each class (of all together where answers are open), fixed by the seed (paper, figure 5)."""
    classes = sorted({example.label for example in train}, key=str)
    chosen = []
    for label in classes:
        of_class = [i for i, example in enumerate(train) if example.label == label]
        if len(of_class) < shots:
            raise UsageError(
                f"data.shots={shots}, but only {len(of_class)} training rows have label {label}; give fewer shots."
            )
        chosen += random.Random(f"{seed} {label}").sample(of_class, shots)
    return [train[i] for i in sorted(chosen)]


def fingerprint(examples: list[Example]) -> str:
    """SHA-256 over the examples' contents in order."""
    digest = hashlib.sha256()
    for example in examples:
        digest.update(json.dumps(dataclasses.asdict(example), sort_keys=True, default=dict).encode())
    return digest.hexdigest()


def majority_scores(data: TaskData) -> dict[str, float]:
    """Scores of always giving the training rows' most frequent answer: what a prompt has to beat. Where labels are
    equally frequent, as in few-shot rows, the one that scores best, for any of them could be the constant answer."""
    task = data.task
    counts = Counter(target for example in data.train for target in task.targets(example))
    (first, most), *_ = counts.most_common(1)
    tied = [first] if task.verbalizers is None else [answer for answer, count in counts.items() if count == most]
    # Through `interpret`, an answer is compared just as the backbone's own text would be.
    scores = [task.score(data.report, [task.interpret(answer, e) for e in data.report]) for answer in tied]
    return max(scores, key=lambda each: each["score"])
