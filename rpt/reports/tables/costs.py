"""What each reparameterization costs: parameters and time, beside its score."""

from __future__ import annotations

from typing import Any

import pandas as pd

from rpt.reports.captions import captioned, training
from rpt.reports.grid_results import GridResults
from rpt.reports.labels import label
from rpt.reports.layouts import COSTS, file_name
from rpt.reports.scores import Cell, task_scores
from rpt.reports.tables.table import Table, Text

COUNTS = ("trained", "kept")


def costs_table(results: GridResults) -> Table:
    """A row for each prompt: numbers trained and kept, the average score over tasks, mean seconds of a run."""
    scale, axes = results.experiment.scale, results.row_axes(("backbone", "prompt"))
    averages = task_scores(results, {})["average"]
    lines, records = [], []
    for at in results.points(axes):
        row = tuple(at.values())
        runs = _at(results.runs, axes, row)
        cell = Cell.of(_at(averages, axes, row))
        counts = {of: sorted(set(runs[f"parameters.{of}"])) for of in COUNTS}
        seconds = None if runs.empty else float(runs["seconds"].mean())
        shown = [" or ".join(f"{count:,}" for count in counts[of]) for of in COUNTS]
        shown += [str(cell), "" if seconds is None else f"{seconds:,.0f}"]
        lines.append([Text(text) for text in (*(label(key, value) for key, value in at.items()), *shown)])
        single = {of: counts[of][0] if len(counts[of]) == 1 else None for of in COUNTS}
        records.append(
            {"table": COSTS, "scale": scale, **at, **single}
            | {"mean": cell.mean, "sd": cell.sd, "n": cell.n, "seconds": seconds, "runs": len(runs)}
        )
    caption = "Reparameterizations. Parameters, average score over the tasks (mean ± standard deviation over seeds)"
    return Table(
        name=file_name(COSTS, scale),
        caption=captioned(f"{caption} and time of a run, its share where runs trained together.", scale),
        header=[*(label("axis", key) for key in axes), "trained", label("parameters", "kept"), "average", "seconds"],
        labels=len(axes),
        blocks=[lines],
        records=records,
        remarks=[training(results)],
    )


def _at(of: Any, axes: tuple[str, ...], row: tuple[str, ...]) -> Any:
    """The lines at these values of the axes."""
    there = pd.Series(True, index=of.index)
    for axis, value in zip(axes, row, strict=True):
        there &= of.index.get_level_values(axis) == value
    return of[there.to_numpy()]
