"""The numbers of a table of scores: a cell for each row and column of a layout, and the floors."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from rpt.reports.grid_results import GridResults, pick_cell
from rpt.reports.layouts import Layout
from rpt.reports.scores import Cell, floors, task_scores

At = dict[str, str]  # values of axes
Cells = dict[str, Cell]  # by column


@dataclass(frozen=True)
class ScoreRows:
    """axes: those that name a row. columns: what stands across. rows: every row of the grid, recorded or not.

    floors: the majority class's scores, backbones by tasks; empty where tasks are not across.
    """

    layout: Layout
    results: GridResults
    axes: tuple[str, ...]
    columns: tuple[str, ...]
    rows: list[tuple[At, Cells]]
    floors: pd.DataFrame

    def cells_at(self, at: At) -> Cells | None:
        return next((cells for values, cells in self.rows if values == at), None)


def fill(layout: Layout, results: GridResults) -> ScoreRows:
    """A layout filled from runs."""
    axes, across = results.row_axes(layout.rows, layout.columns), results.experiment.axes[layout.columns]
    scores = task_scores(results, layout.metrics)
    if layout.columns == "task":
        columns, lowest = (*across, *["average"] * (len(across) > 1)), floors(results, layout.metrics)
    else:
        columns, lowest = across, pd.DataFrame()
        scores = scores["average"].unstack(layout.columns).reindex(columns=list(columns))
    cells = [pick_cell(scores, at) for at in results.points(axes)]
    rows = [
        (at, {column: Cell.of(of_row[column]) for column in columns})
        for at, of_row in zip(results.points(axes), cells, strict=True)
    ]
    return ScoreRows(layout, results, axes, columns, rows, lowest)
