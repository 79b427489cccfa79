"""The numbers of a table of scores: the majority class, a row for each row of the grid, the rows that only the paper
has."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import pandas as pd

from rpt.reports.grid_results import At, GridResults, pick_cell
from rpt.reports.layouts import METHODS, Layout
from rpt.reports.paper import Paper, Place
from rpt.reports.scores import Cell, floors, task_scores


@dataclass(frozen=True)
class Row:
    """cells, printed, asked: by column. printed: the paper's numbers, at its scale. asked: how many seeds the grid has;
    empty for the majority class. place: the paper's names of backbone and row. bold: the columns in which it leads."""

    at: At
    cells: dict[str, Cell]
    printed: dict[str, float | None]
    asked: dict[str, int] = field(default_factory=dict)
    place: Place | None = None
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
    columns: list[str]
    floors: pd.DataFrame
    groups: list[list[Row]] = field(default_factory=list)

    @property
    def rows(self) -> list[Row]:
        return [row for group in self.groups for row in group]


def fill(layout: Layout, results: GridResults, paper: Paper) -> ScoreRows:
    """Fill the rows of the grid; at the paper's scale its numbers stand beside ours."""
    axes, columns = results.row_axes(layout.rows, layout.columns), [*results.experiment.axes[layout.columns]]
    scores, lowest = task_scores(results, layout.metrics), pd.DataFrame()
    if layout.columns == "task":
        columns += ["average"] * (len(columns) > 1)
        lowest = floors(results, layout.metrics)[columns]
    else:
        scores = scores["average"].unstack(layout.columns)
    table = ScoreRows(layout, results, axes, columns, lowest)
    keys = [key for key in layout.groups if key in axes]
    for _, group in itertools.groupby(results.points(axes), key=lambda at: [at[key] for key in keys]):
        by_seed = [(at, pick_cell(scores, at).reindex(columns=columns)) for at in group]
        rows = [(at, {column: Cell.over(numbers[column]) for column in columns}) for at, numbers in by_seed]
        compared = [cells for at, cells in rows if at.get("prompt") not in METHODS]
        leads = {column: best([cells[column] for cells in compared]) for column in columns}
        table.groups.append([_row(table, paper, at, cells, leads) for at, cells in rows])
    return table


def _row(table: ScoreRows, paper: Paper, at: At, cells: dict[str, Cell], leads: dict[str, Cell | None]) -> Row:
    results, across, asked = table.results, table.layout.columns, {}
    place, beside = paper.place(table.layout.name, at), results.scale == "paper"
    printed = {column: paper.number(table.layout.name, *place, column) if beside else None for column in cells}
    for column in cells:  # for how many seeds the grid has every run of a cell
        here = at if column == "average" else at | {across: column}
        asked[column] = min(results.count_asked({"task": task} | here) for task in results.tasks)
    return Row(at, cells, printed, asked, place, frozenset(name for name in cells if cells[name] is leads[name]))


def majority_rows(table: ScoreRows) -> list[Row]:
    """The majority class of the training rows: one row where backbones agree. (Encoders have other rows of WSC.)"""
    lines = table.floors.dropna(how="all")
    agree = not lines.empty and (lines.nunique() <= 1).all()
    rows = []
    for backbone, values in (lines.bfill().head(1) if agree else lines.drop_duplicates()).iterrows():
        names = {"prompt": "majority class", "backbone": "" if agree else backbone}
        cells = {column: Cell.over(values[[column]]) for column in values.index}
        rows.append(Row({key: names.get(key, "") for key in table.axes}, cells, dict.fromkeys(cells)))
    return rows


def rows_of_the_paper(table: ScoreRows, paper: Paper) -> list[Row]:
    """The rows that only the paper has."""
    name, rows = table.layout.name, []
    for place in paper.rows_without(name, {row.place for row in table.rows}):
        at = dict.fromkeys(table.axes, "") | dict(zip(("backbone", "prompt"), place, strict=True))
        printed = {column: paper.number(name, *place, column) for column in table.columns}
        rows.append(Row(at, dict.fromkeys(printed, Cell()), printed, dict.fromkeys(printed, 0), place))
    return rows


def best(cells: list[Cell]) -> Cell | None:
    """The cell that is ahead of the next by more than either's standard deviation; None where that cannot be said."""
    ranked = sorted((cell for cell in cells if cell.mean is not None), key=lambda cell: -(cell.mean or 0.0))
    if len(ranked) < 2 or ranked[0].sd is None or ranked[1].sd is None:
        return None
    first, second = ranked[:2]
    return first if (gap := first.minus(second.mean)) and gap > max(ranked[0].sd, ranked[1].sd) else None
