"""How the runs behind a table learn: the first evaluation, the best one, and the score in the end."""

from __future__ import annotations

import pandas as pd

from rpt.reports.grid_results import GridResults
from rpt.reports.layouts import title_of
from rpt.reports.scores import Cell
from rpt.reports.table import Line, Record, Table, make_table

COLUMNS = ["first loss", "first score", "best epoch", "best score", "reported"]


def learning_table(results: GridResults) -> Table:
    """A line for each row and task, with a number for each seed; the CSV has a line for each run."""
    name, axes = results.experiment.name, results.row_axes(("backbone", "task", "prompt"))
    lines, records = list[Line](), list[Record]()
    for at in results.points(axes):
        runs = pd.DataFrame([_summary(*run) for run in results.at(at)[["history", "scores.score"]].itertuples()])
        records += [{**at, **run} for run in runs.to_dict("records")]
        if len(runs):
            epochs = [f"{best:g} of {last:g}" for best, last in zip(runs["best_epoch"], runs["epochs"], strict=True)]
            cells = [_listed(runs["first_loss"]), _listed(runs["first"]), ", ".join(epochs), _listed(runs["best"])]
            lines.append((at, [*cells, str(Cell.over(runs["reported"]))]))
    facts = {"experiment": title_of(name).lower()}
    return make_table(f"{name}-learning", "learning", results, axes, COLUMNS, [lines], records, facts, in_report=False)


def _summary(seed: str, history: list[dict[str, float]], reported: float) -> dict[str, object]:
    first, last = history[0], history[-1]
    best = max(history, key=lambda line: line["score"])  # of equal ones the first, as in training
    return {
        "seed": seed, "first_loss": first["loss"], "first": first["score"], "best_epoch": best["epoch"],
        "epochs": last["epoch"], "best": best["score"], "reported": reported,
    }  # fmt: skip


def _listed(values: pd.Series) -> str:
    return ", ".join("–" if pd.isna(value) else f"{value:.1f}" for value in values)
