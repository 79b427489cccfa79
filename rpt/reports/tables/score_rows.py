"""The numbers of a table of scores: the majority class, a row for each row of the grid, the rows that only the paper
has."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import pandas as pd

from rpt.reports.grid_results import GridResults, pick_cell
from rpt.reports.layouts import METHODS, Layout
from rpt.reports.paper import Number, Paper
from rpt.reports.scores import Cell, floors, task_scores

At = dict[str, str]  # values of axes


@dataclass(frozen=True)
class Row:
    """cells, printed, asked: by column. printed: the paper's numbers, at its scale. asked: how many seeds the grid has;
    empty for the majority class. place: the paper's names of backbone and row. bold: the columns in which it leads."""

    at: At
    cells: dict[str, Cell]
    printed: dict[str, Number]
    asked: dict[str, int] = field(default_factory=dict)
    place: tuple[str, str] | None = None
    bold: frozenset[str] = frozenset()

    @property
    def gaps(self) -> dict[str, float | None]:
        return {column: cell.minus(self.printed[column]) for column, cell in self.cells.items()}

    @property
    def is_empty(self) -> bool:
        return all(cell.mean is None for cell in self.cells.values())


@dataclass(frozen=True)
class ScoreRows:
    """A layout filled. axes: those that name a row. columns: what stands across. floors: the majority class's scores,
    backbones by columns; empty where tasks are not across. groups: rows that are compared for bold, recorded or not."""

    layout: Layout
    results: GridResults
    axes: tuple[str, ...]
    columns: tuple[str, ...]
    floors: pd.DataFrame
    groups: list[list[Row]] = field(default_factory=list)

    @property
    def rows(self) -> list[Row]:
        return [row for group in self.groups for row in group]


def fill(layout: Layout, results: GridResults, paper: Paper) -> ScoreRows:
    """The rows of the grid, with the paper's numbers beside them at its scale."""
    axes, columns = results.row_axes(layout.rows, layout.columns), list(results.experiment.axes[layout.columns])
    scores, lowest = task_scores(results, layout.metrics), floors(results, layout.metrics)
    if layout.columns == "task":
        columns += ["average"] * (len(columns) > 1)
    else:
        scores, lowest = scores["average"].unstack(layout.columns).reindex(columns=columns), pd.DataFrame()
    table = ScoreRows(layout, results, axes, tuple(columns), lowest[columns] if len(lowest) else lowest)
    keys = [key for key in layout.groups if key in axes]
    for _, group in itertools.groupby(results.points(axes), key=lambda at: [at[key] for key in keys]):
        cells = [(at, pick_cell(scores, at)) for at in group]
        rows = [(at, {column: Cell.over(by_seed[column]) for column in columns}) for at, by_seed in cells]
        compared = [row for at, row in rows if at.get("prompt") not in METHODS]
        leads = {column: best([row[column] for row in compared]) for column in columns}
        table.groups.append(
            [_row(table, paper, at, row, frozenset(c for c in columns if row[c] is leads[c])) for at, row in rows]
        )
    return table


def _row(table: ScoreRows, paper: Paper, at: At, cells: dict[str, Cell], bold: frozenset[str]) -> Row:
    results, asked = table.results, {}
    place, beside = paper.place(table.layout.name, at), results.experiment.scale == "paper"
    printed = {column: paper.value(table.layout.name, *place, column) if beside else None for column in table.columns}
    for column in table.columns:  # for how many seeds the grid has every run of a cell
        here = at if column == "average" else at | {table.layout.columns: column}
        asked[column] = min(results.count_asked({"task": task} | here) for task in results.experiment.axes["task"])
    return Row(at, cells, printed, asked, place, bold)


def majority_rows(table: ScoreRows) -> list[Row]:
    """The majority class of the training rows: one row where backbones agree. (Encoders have other rows of WSC.)"""
    lines = table.floors.dropna(how="all")
    agree = not lines.empty and (lines.nunique() <= 1).all()
    lines = lines.bfill().head(1) if agree else lines.drop_duplicates()
    rows = []
    for backbone, values in lines.iterrows():
        names = {"prompt": "majority class", "backbone": "" if agree else backbone}
        cells = {column: Cell(None if pd.isna(value) else float(value)) for column, value in values.items()}
        rows.append(Row({key: names.get(key, "") for key in table.axes}, cells, dict.fromkeys(cells)))
    return rows


def rows_of_the_paper(table: ScoreRows, paper: Paper) -> list[Row]:
    """The rows that only the paper has."""
    name, rows = table.layout.name, []
    for place in paper.rows_without(name, {row.place for row in table.rows}):
        at = dict.fromkeys(table.axes, "") | dict(zip(("backbone", "prompt"), place, strict=True))
        printed = {column: paper.value(name, *place, column) for column in table.columns}
        rows.append(Row(at, dict.fromkeys(printed, Cell()), printed, dict.fromkeys(printed, 0), place))
    return rows


def best(cells: list[Cell]) -> Cell | None:
    """The cell that is ahead of the next by more than either's standard deviation; None where that cannot be said."""
    ranked = sorted((cell for cell in cells if cell.mean is not None), key=lambda cell: -cell.mean)
    if len(ranked) < 2 or ranked[0].sd is None or ranked[1].sd is None:
        return None
    first, second = ranked[:2]
    return first if first.mean - second.mean > max(first.sd, second.sd) else None
