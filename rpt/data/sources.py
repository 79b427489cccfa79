"""Raw rows from hub, folder or miniature."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rpt.config import DataConfig, TaskConfig
from rpt.data import miniature
from rpt.data.csv_rows import read_csv_rows
from rpt.data.json_lines import read_json_lines
from rpt.data.rows import LocatedRow, parse_rows, warn_once
from rpt.errors import UsageError, first_line
from rpt.hub import WAYS_ON
from rpt.tasks import Example, Task
from rpt.tasks.custom import CustomTask
from rpt.tasks.fields import RawRow

if TYPE_CHECKING:  # slow to import
    from datasets import Dataset

Rows = Iterable[LocatedRow]
MOST_LABELS, ROWS_OF_A_LABEL = 10, 4  # answers look like labels if they are so few, in so many rows each
CUSTOM_WAYS_ON = (
    "Give another data.repo, task.hub_config or task.hub_split, or files: task.train=FILE task.validation=FILE, "
    ".jsonl or .csv"
)


def read_examples(data: DataConfig, task: Task, custom: TaskConfig | None = None) -> dict[str, list[Example]]:
    """Read the task's examples from any source: {"train": [...], "val": [...]}.

    Args:
        custom: the configuration of a custom task, which names its files.

    Raises:
        UsageError: a file or the hub cannot be read, a row does not fit the task's schema or is impossible, or a
            validation row has no label.
    """
    read = {"hub": _hub, "folder": _folder, "mini": _miniature}[data.name]
    examples = {}
    for split in ("train", "val"):
        source, rows = read(data, task, split, custom or TaskConfig())
        if isinstance(task, CustomTask):
            rows = [(place, {"idx": i, **row}) for i, (place, row) in enumerate(rows)]
        examples[split] = parse_rows(task, source, rows, labelled=split == "val")
    if isinstance(task, CustomTask) and not task.labels:
        _suggest_labels(task, examples["train"])
    return examples


def _suggest_labels(task: CustomTask, examples: list[Example]) -> None:
    """Say that open answers look like labels, where they are few."""
    answers = sorted({answer for example in examples for answer in example.answers})
    if 1 < len(answers) <= MOST_LABELS and ROWS_OF_A_LABEL * len(answers) <= len(examples):
        warn_once(
            f"{task.name} has open answers, written word by word, and {len(examples)} training rows share "
            f"{len(answers)} of them: task.labels=[{','.join(answers)}] makes these the labels."
        )


def _hub(data: DataConfig, task: Task, split: str, custom: TaskConfig) -> tuple[str, Rows]:
    import datasets  # slow to import, and only needed here

    datasets.utils.logging.disable_progress_bar()
    try:
        on_hub = split if split == "train" else custom.hub_split
        table = _load_split(data.repo, task.hub_config, on_hub, as_text=isinstance(task, CustomTask))
    except Exception as error:  # the hub's clients raise many kinds of errors; each means that there are no rows
        generated = isinstance(error, datasets.exceptions.DatasetGenerationError)  # its own text says nothing
        reason = textwrap.shorten(str(error.__cause__), 200) if generated and error.__cause__ else first_line(error)
        raise UsageError(
            f"{data.repo} ({task.hub_config or task.name}) cannot be had from the hub: {reason}\n"
            f"{CUSTOM_WAYS_ON if isinstance(task, CustomTask) else WAYS_ON}"
        ) from error
    rows = _name_labels(table.to_list(), task, table.features)
    return f"hub {data.repo} {task.hub_config or ''} {on_hub}".replace("  ", " "), _numbered(rows)


def _load_split(repo: str, name: str | None, split: str, as_text: bool) -> Dataset:
    """Load a split from the hub or from a folder: a folder of files, or one that save_to_disk wrote, which may have a
    folder for each name.

    Args:
        as_text: whether the columns of CSV files are read as they are written: by itself the library makes 7 of 007 and
            nothing of NA.

    Raises:
        ValueError, and whatever the library raises: there is no such split.
    """
    import datasets

    for place in (Path(repo, name), Path(repo)) if name else (Path(repo),):
        if (place / "dataset_dict.json").is_file():
            splits = datasets.load_from_disk(str(place))
            if split not in splits:
                raise ValueError(f"it has no split {split}; it has {', '.join(splits)}")
            return splits[split]
        if (place / "state.json").is_file():
            raise ValueError("it is one split as save_to_disk writes it; save a DatasetDict with all of them instead")
    builder = datasets.load_dataset_builder(repo, name)
    if as_text and builder.info.builder_name == "csv":
        streamed, *_ = builder.as_streaming_dataset().values()  # whose columns all splits share
        columns = datasets.Features(dict.fromkeys(next(iter(streamed), {}), datasets.Value("string")))
        builder = datasets.load_dataset_builder(repo, name, features=columns or None, keep_default_na=False)
    builder.download_and_prepare()
    return builder.as_dataset(split)


def _name_labels(rows: Sequence[RawRow], task: Task, features: Mapping[str, object]) -> Sequence[RawRow]:
    """Replace label numbers by the data set's names of them: it may number labels in another order than the task.

    A custom task may name its labels differently from the data set: then task.labels has the order of the numbers.

    Raises:
        UsageError: then it has another number of labels.
    """
    column = task.answer if isinstance(task, CustomTask) else "label"
    names: Sequence[str] = getattr(features.get(column), "names", None) or ()
    known = {label.lower() for label in task.labels}
    if not known or not names:
        return rows
    if isinstance(task, CustomTask) and known.isdisjoint(name.lower() for name in names):
        if len(names) != len(task.labels):
            raise UsageError(
                f"task.labels={list(task.labels)} are not the {len(names)} labels of column {column} "
                f"({textwrap.shorten(', '.join(names), 200)}); give these, or as many in their order."
            )
        names = task.labels
    labels = [int(name) if name.isdecimal() and name not in known else name for name in names]

    def named(label: object) -> object:
        return labels[label] if isinstance(label, int) and 0 <= label < len(labels) else label

    return [{**row, column: named(row[column])} if column in row else row for row in rows]


def _folder(data: DataConfig, task: Task, split: str, custom: TaskConfig) -> tuple[str, Rows]:
    folder = Path(os.path.expanduser(data.dir or "."))
    path = folder / task.folder / f"{split}.jsonl"
    if isinstance(task, CustomTask):
        key = {"train": "train", "val": "validation"}[split]
        if (name := getattr(custom, key)) is None:
            raise UsageError(f"task={task.name} has no rows; give task.{key}=FILE, .jsonl or .csv.")
        path = folder / os.path.expanduser(name)
        if not os.path.isfile(path):
            raise UsageError(f"task.{key}={name} does not exist below {folder}; give a file of rows, .jsonl or .csv.")
    if not os.path.isfile(path):
        raise UsageError(f"{path} does not exist; data.dir must be a folder in the official SuperGLUE layout.")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror}); download the file again.") from error
    read = read_csv_rows if path.suffix.lower() == ".csv" else read_json_lines
    return str(path), read(content, str(path))


def _miniature(data: DataConfig, task: Task, split: str, custom: TaskConfig) -> tuple[str, Rows]:
    if task.name not in miniature.GRAMMARS:
        raise UsageError(f"The miniature has no task {task.name}; it has {', '.join(miniature.GRAMMARS)}.")
    return f"miniature {task.name} {split}", _numbered(miniature.rows(task.name, split, data.mini_seed))


def _numbered(rows: Sequence[RawRow]) -> Rows:
    return ((f"row {number}", row) for number, row in enumerate(rows, start=1))
