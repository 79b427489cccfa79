"""What searches found: their trials, from the files beside the records."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from rpt.files import write_atomically
from rpt.records.search_file import Trial, by_score, read_searches
from rpt.reports.render import paragraphs
from rpt.reports.table import padded_table, to_markdown


def write_searches(folder: Path) -> str | None:
    """Write the tables to searches.md below the folder and return them; None if there was no search.

    Raises:
        RecordError: a file of a search cannot be read.
    """
    searches = [sorted(trials, key=by_score) for trials in read_searches(folder)]
    if not searches:
        return None
    names = [
        f"{best['task']} {best['backbone']} {best['prompt']}, seed {best.get('seed', '–')}" for best, *_ in searches
    ]
    rows = [[*map(_sum_up, searches)], *([*map(_describe, trials)] for trials in searches)]
    captions = paragraphs("searches", names=names)
    tables = [
        padded_table("searches", caption, lines, labels=len(lines[0]))
        for caption, lines in zip(captions, rows, strict=True)
    ]
    text = "\n".join(map(to_markdown, tables))
    write_atomically(folder / "searches.md", text.encode())
    return text


def _sum_up(trials: list[Trial]) -> dict[str, str]:
    best, states = trials[0], Counter(trial["state"] for trial in trials)
    return {
        "task": best["task"], "backbone": best["backbone"], "prompt": best["prompt"],
        "seed": str(best.get("seed", "–")), "trials": str(len(trials)),
        **{state: str(states[state]) for state in ("finished", "pruned", "failed")},
        "best held-out": _show(best["held_out"]), "its score": _show(best["score"]),
        "with": " ".join(f"{key}={value}" for key, value in best["values"].items()),
    }  # fmt: skip


def _describe(trial: Trial) -> dict[str, str]:
    values = {key: str(value) for key, value in trial["values"].items()}
    scores = {"held-out": _show(trial["held_out"]), "score": _show(trial["score"])}
    return {"trial": str(trial["trial"]), **values, **scores, "state": trial["state"]}


def _show(score: float | None) -> str:
    return "–" if score is None else f"{score:.1f}"
