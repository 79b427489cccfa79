"""What a search leaves beside the records: <results>/searches/<name>.jsonl, one JSON line a trial."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rpt.files import write_atomically
from rpt.records.checks import one_line_refusal

FOLDER = "searches"


def write_search(results: Path, name: str, trials: list[dict[str, Any]]) -> None:
    """All trials so far.

    Args:
        results: folder of the records.
        name: of the search.
        trials: each with its number ("trial"), "state" (finished, pruned or failed), best score on "held_out" rows,
            "score" on the others, "run" and "values", and with "task", "backbone", "prompt" and "seed" of the search.
    """
    path = results / FOLDER / f"{name}.jsonl"
    write_atomically(path, "".join(json.dumps(trial) + "\n" for trial in trials).encode())


def read_searches(results: Path) -> list[list[dict[str, Any]]]:
    """The trials of every search.

    Raises:
        RecordError: a file cannot be read.
    """
    searches = []
    for path in sorted(results.glob(f"{FOLDER}/*.jsonl")):
        with one_line_refusal(path):
            searches.append([json.loads(line) for line in path.read_text("utf-8").splitlines()])
    return searches
