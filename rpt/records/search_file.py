"""What a search leaves beside the records: <results>/searches/<name>.jsonl, one JSON line a trial."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NotRequired

from typing_extensions import TypedDict  # pydantic cannot read typing's before python 3.12

from rpt.config.schema import Values
from rpt.files import write_atomically
from rpt.records.checks import adapter, one_line_refusal
from rpt.records.schema import strict

REMEDY = "restore the file, or delete it and search again"


@strict
class Trial(TypedDict):
    """What became of one trial. held_out: its best score on the rows that choose; score: on the reported rows."""

    task: str
    backbone: str
    prompt: str
    seed: NotRequired[int]  # of the search; files of older versions lack it
    trial: int
    state: Literal["finished", "pruned", "failed"]
    held_out: float | None
    score: float | None
    run: str | None
    values: Values


def by_score(trial: Mapping[str, Any]) -> tuple[bool, float]:
    """Sort the best first, and trials that did not finish last."""
    return trial["state"] != "finished", -(trial["held_out"] or 0)


def write_search(results: Path, name: str, trials: Sequence[Mapping[str, object]]) -> None:
    """All trials of a search so far, each a Trial, below the folder of the records."""
    path = results / "searches" / f"{name}.jsonl"
    write_atomically(path, "".join(json.dumps(trial) + "\n" for trial in trials).encode())


def copy_searches(source: Path, target: Path) -> list[Path]:
    """Copy the files of searches to another folder of results; returns the copies.

    Raises:
        RecordError: a file cannot be read; nothing is copied then.
    """
    if source.resolve() == target.resolve() or not read_searches(source):
        return []
    files = {target / "searches" / path.name: path for path in sorted(source.glob("searches/*.jsonl"))}
    for copy, path in files.items():
        write_atomically(copy, path.read_bytes())
    return list(files)


def read_searches(results: Path) -> list[list[Trial]]:
    """The trials of every search; a file without any is no search.

    Raises:
        RecordError: a file cannot be read.
    """
    searches = []
    for path in sorted(results.glob("searches/*.jsonl")):
        with one_line_refusal(path, REMEDY):
            lines = path.read_text("utf-8").splitlines()
        searches.append([_read_trial(line, f"{path}, line {number}") for number, line in enumerate(lines, start=1)])
    return [trials for trials in searches if trials]


def _read_trial(line: str, place: str) -> Trial:
    with one_line_refusal(place, REMEDY):
        trial: Trial = adapter(Trial).validate_python(json.loads(line))
        return trial
