"""Raw SuperGLUE rows: from the hub, from a folder in the official layout, or from the miniature's grammars."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rpt.config import DataConfig, TaskConfig
from rpt.data import miniature
from rpt.data.csv_rows import read_csv_rows
from rpt.data.json_lines import read_json_lines
from rpt.data.rows import parse_rows
from rpt.errors import UsageError
from rpt.hub import WAYS_ON
from rpt.tasks import Example, Task
from rpt.tasks.own import OwnTask

Rows = Iterable[tuple[str, dict[str, Any]]]  # each with its place: "line 3", "row 3"
OWN_WAYS_ON = (
    "Give another data.repo, task.hub_config or task.hub_split, or files: task.train=FILE task.validation=FILE, "
    ".jsonl or .csv"
)


def read_examples(data: DataConfig, task: Task, own: TaskConfig | None = None) -> dict[str, list[Example]]:
    """The task's examples as {"train": [...], "val": [...]}, whatever the source.

    Args:
        own: where the rows of a task of one's own are.

    Raises:
        UsageError: a file or the hub cannot be read, a row is not of the task's schema or cannot be right, or a
            validation row has no label.
    """
    read = {"hub": _hub, "folder": _folder, "mini": _miniature}[data.name]
    found = {}
    for split in ("train", "val"):
        source, rows = read(data, task, split, own)
        if isinstance(task, OwnTask):
            rows = [(place, {"idx": i, **row}) for i, (place, row) in enumerate(rows)]
        found[split] = parse_rows(task, source, rows, labelled=split == "val")
    return found


def _hub(data: DataConfig, task: Task, split: str, own: TaskConfig | None) -> tuple[str, Rows]:
    import datasets  # slow to import, and only needed here

    datasets.utils.logging.disable_progress_bar()
    try:
        on_hub = split if split == "train" else own.hub_split if own else "validation"
        table = datasets.load_dataset(data.repo, task.hub_config, split=on_hub)
    except Exception as error:  # the hub's clients raise many kinds; each means that there are no rows
        first, *_ = str(error).strip().splitlines() or [type(error).__name__]
        generated = isinstance(error, datasets.exceptions.DatasetGenerationError)  # which says itself nothing
        reason = textwrap.shorten(str(error.__cause__), 200) if generated and error.__cause__ else first
        raise UsageError(
            f"{data.repo} ({task.hub_config or task.name}) cannot be had from the hub: {reason}\n"
            f"{OWN_WAYS_ON if isinstance(task, OwnTask) else WAYS_ON}"
        ) from error
    rows = table.to_list()
    if isinstance(task, OwnTask):
        rows = [_name_label(row, task, table.features.get(task.answer)) for row in rows]
    return f"hub {data.repo} {task.hub_config or ''} {on_hub}".replace("  ", " "), _numbered(rows)


def _name_label(row: dict[str, Any], task: OwnTask, feature: Any) -> dict[str, Any]:
    """The row with its label by name where the hub numbers the task's own labels, perhaps in another order."""
    names, label = getattr(feature, "names", None) or [], row.get(task.answer)
    is_numbered = sorted(names) == sorted(task.labels) and isinstance(label, int) and 0 <= label < len(names)
    return row | {task.answer: names[label]} if is_numbered else row


def _folder(data: DataConfig, task: Task, split: str, own: TaskConfig | None) -> tuple[str, Rows]:
    folder = Path(os.path.expanduser(data.dir))
    path = folder / task.folder / f"{split}.jsonl"
    if isinstance(task, OwnTask) and own is not None:
        key = {"train": "train", "val": "validation"}[split]
        if (name := getattr(own, key)) is None:
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


def _miniature(data: DataConfig, task: Task, split: str, own: TaskConfig | None) -> tuple[str, Rows]:
    if task.name not in miniature.GRAMMARS:
        raise UsageError(f"The miniature has no task {task.name}; it has {', '.join(miniature.GRAMMARS)}.")
    return f"miniature {task.name} {split}", _numbered(miniature.rows(task.name, split, data.mini_seed))


def _numbered(rows: list[dict[str, Any]]) -> Rows:
    return ((f"row {number}", row) for number, row in enumerate(rows, start=1))
