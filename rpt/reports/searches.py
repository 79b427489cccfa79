"""What searches found: their trials, from the files beside the records."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rpt.files import write_atomically
from rpt.records.search_file import read_searches
from rpt.reports.render import write_text

ABOUT = ("task", "backbone", "prompt")


def write_searches(folder: Path) -> str | None:
    """The tables, also written to searches.md below the folder; None where there was no search.

    Raises:
        RecordError: a file of a search cannot be read.
    """
    searches = [sorted(trials, key=_by_score) for trials in read_searches(folder)]
    if not searches:
        return None
    text = write_text("searches", found=_lay_out([*map(_sum_up, searches)]), trials=[*map(_list_trials, searches)])
    write_atomically(folder / "searches.md", text.encode())
    return text


def _by_score(trial: dict[str, Any]) -> tuple[bool, float]:
    """The best first, and those that were not finished last."""
    return trial["state"] != "finished", -(trial["held_out"] or 0)


def _sum_up(trials: list[dict[str, Any]]) -> dict[str, str]:
    best = trials[0]
    counts = {state: sum(trial["state"] == state for trial in trials) for state in ("finished", "pruned", "failed")}
    return {
        **{key: best[key] for key in ABOUT},
        "seed": _seed_of(trials),
        "trials": str(len(trials)),
        **{state: str(count) for state, count in counts.items()},
        "best held-out": _show(best["held_out"]),
        "its score": _show(best["score"]),
        "with": " ".join(f"{key}={value}" for key, value in best["values"].items()),
    }


def _list_trials(trials: list[dict[str, Any]]) -> dict[str, Any]:
    rows = [
        {"trial": str(trial["trial"]), **trial["values"], "held-out": _show(trial["held_out"])}
        | {"score": _show(trial["score"]), "state": trial["state"]}
        for trial in trials
    ]
    return {"name": " ".join(trials[0][key] for key in ABOUT), "seed": _seed_of(trials), **_lay_out(rows)}


def _seed_of(trials: list[dict[str, Any]]) -> str:
    """The seed of the search; files of older versions do not say it."""
    return str(trials[0].get("seed", "–"))


def _lay_out(rows: list[dict[str, str]]) -> dict[str, Any]:
    header = list(rows[0])
    lines = [[row[key] for key in header] for row in rows]
    widths = [max(map(len, column)) for column in zip(header, *lines, strict=True)]
    return {"header": header, "rows": lines, "widths": widths}


def _show(score: float | None) -> str:
    return "–" if score is None else f"{score:.1f}"
