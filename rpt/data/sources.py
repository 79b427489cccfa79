"""Raw SuperGLUE rows: from the hub, from a folder in the official layout, or from the miniature's grammars."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rpt.config import DataConfig
from rpt.data import miniature
from rpt.errors import UsageError
from rpt.hub import WAYS_ON
from rpt.tasks import Example, Task


def read_examples(data: DataConfig, task: Task) -> dict[str, list[Example]]:
    """The task's examples as {"train": [...], "val": [...]}, whatever the source.

    Raises:
        UsageError: a file or the hub cannot be read, or a row is not of the task's schema.
    """
    read = {"hub": _hub, "folder": _folder, "mini": _miniature}[data.name]
    return {split: _parsed(task, *read(data, task, split)) for split in ("train", "val")}


def _parsed(task: Task, place: str, rows: list[dict[str, Any]]) -> list[Example]:
    examples = []
    for number, row in enumerate(rows, start=1):
        try:
            examples += task.parse(row)
        except ValueError as error:
            raise UsageError(f"{place}, row {number}: {error}") from error
    if not examples:
        raise UsageError(f"{place} has no rows.")
    return examples


def _hub(data: DataConfig, task: Task, split: str) -> tuple[str, list[dict[str, Any]]]:
    import datasets  # slow to import, and only needed here

    datasets.utils.logging.disable_progress_bar()
    place = f"hub {data.repo}/{task.hub_config} {split}"
    try:
        table = datasets.load_dataset(data.repo, task.hub_config, split={"val": "validation"}.get(split, split))
    except Exception as error:  # the hub's clients raise many kinds; each means that there are no rows
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UsageError(
            f"SuperGLUE ({data.repo}, {task.hub_config}) cannot be had from the hub: {reason}\n{WAYS_ON}"
        ) from error
    return place, table.to_list()


def _folder(data: DataConfig, task: Task, split: str) -> tuple[str, list[dict[str, Any]]]:
    path = Path(data.dir).expanduser() / task.folder / f"{split}.jsonl"
    if not path.is_file():
        raise UsageError(f"{path} does not exist; data.dir must be a folder in the official SuperGLUE layout.")
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), start=1):  # JSON may hold others
        if line.strip():
            try:
                rows.append(json.loads(line))
            except json.JSONDecodeError as error:
                raise UsageError(f"{path}, line {number} is not JSON: {error.msg}; download the file again.") from error
    return str(path), rows


def _miniature(data: DataConfig, task: Task, split: str) -> tuple[str, list[dict[str, Any]]]:
    if task.name not in miniature.GRAMMARS:
        raise UsageError(f"The miniature has no task {task.name}; it has {', '.join(miniature.GRAMMARS)}.")
    return f"miniature {task.name} {split}", miniature.rows(task.name, split, data.mini_seed)
