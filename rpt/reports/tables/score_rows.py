"""A table of scores computed. The floors, a row for each row of the grid, the rows that only the paper has."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field

import pandas as pd

from rpt.reports.grid_results import GridResults, pick_cell
from rpt.reports.layouts import METHODS, Layout
from rpt.reports.paper import Number, Paper
from rpt.reports.scores import Cell, floors, task_scores

At = dict[str, str]  # values of axes
Counts = dict[str, int | None]  # by column


@dataclass(frozen=True)
class Row:
    """cells, printed, asked: by column. printed: the paper's numbers, at its scale. asked: how many seeds the grid has;
    None where nothing is counted. place: the paper's names of backbone and row. bold: the columns in which it leads."""

    at: At
    cells: dict[str, Cell]
    asked: Counts
    printed: dict[str, Number]
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
    backbones by tasks; empty where tasks are not across. groups: rows that are compared for bold, recorded or not."""

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
    axes, across = results.row_axes(layout.rows, layout.columns), results.experiment.axes[layout.columns]
    scores = task_scores(results, layout.metrics)
    if layout.columns == "task":
        numbers = ScoreRows(
            layout, results, axes, (*across, *["average"] * (len(across) > 1)), floors(results, layout.metrics)
        )
    else:
        numbers = ScoreRows(layout, results, axes, across, pd.DataFrame())
        scores = scores["average"].unstack(layout.columns).reindex(columns=list(across))
    keys = [key for key in layout.groups if key in axes]
    for _, group in itertools.groupby(results.points(axes), key=lambda at: [at[key] for key in keys]):
        cells = [(at, _cells(pick_cell(scores, at), numbers.columns)) for at in group]
        compared = [row for at, row in cells if at.get("prompt") not in METHODS]
        leads = {column: best([row[column] for row in compared]) for column in numbers.columns}
        numbers.groups.append(
            [_row(numbers, paper, at, row, {c for c, top in leads.items() if row[c] is top}) for at, row in cells]
        )
    return numbers


def _cells(scores: pd.DataFrame, columns: tuple[str, ...]) -> dict[str, Cell]:
    return {column: Cell.of(scores[column]) for column in columns}


def _row(numbers: ScoreRows, paper: Paper, at: At, cells: dict[str, Cell], bold: set[str]) -> Row:
    name, results = numbers.layout.name, numbers.results
    place, beside = paper.place(name, at), results.experiment.scale == "paper"
    printed = {column: paper.value(name, *place, column) if beside else None for column in numbers.columns}
    tasks, asked = results.experiment.axes["task"], {}
    for column in numbers.columns:  # for how many seeds the grid has every run of a cell
        here = at if column == "average" else at | {numbers.layout.columns: column}
        asked[column] = min(results.count_asked({"task": task} | here) for task in tasks)
    return Row(at, cells, asked, printed, place, frozenset(bold))


def majority_rows(numbers: ScoreRows) -> Iterator[Row]:
    """The majority class of the training rows: one row where backbones agree on the tasks that they have."""
    lines: dict[tuple[float | None, ...], str] = {}  # with the first backbone of each
    for backbone in numbers.floors.isna().sum(axis=1).sort_values(kind="stable").index:  # most tasks first
        values = numbers.floors.loc[backbone]
        if values.notna().any():
            shown = [*values, values.mean(skipna=False)][: len(numbers.columns)]
            line = tuple(None if pd.isna(value) else float(value) for value in shown)
            same = (other for other in lines if all(a in (None, b) for a, b in zip(line, other, strict=True)))
            lines.setdefault(next(same, line), backbone)
    nothing = dict.fromkeys(numbers.columns)
    for values, backbone in lines.items():
        names = {"prompt": "majority class", "backbone": backbone if len(lines) > 1 else ""}  # encoders' WSC differs
        at = {key: names.get(key, "") for key in numbers.axes}
        yield Row(at, dict(zip(numbers.columns, map(Cell, values), strict=True)), nothing, nothing)


def rows_of_the_paper(numbers: ScoreRows, paper: Paper) -> list[Row]:
    """The rows that only the paper has."""
    name, shown, rows = numbers.layout.name, {row.place for row in numbers.rows}, []
    for place in paper.rows_without(name, shown):
        at = dict.fromkeys(numbers.axes, "") | dict(zip(("backbone", "prompt"), place, strict=True))
        printed = {column: paper.value(name, *place, column) for column in numbers.columns}
        rows.append(Row(at, dict.fromkeys(printed, Cell()), dict.fromkeys(printed, 0), printed, place))
    return rows


def best(cells: list[Cell]) -> Cell | None:
    """The cell that is ahead of the next by more than either's standard deviation; None where that cannot be said."""
    ranked = sorted((cell for cell in cells if cell.mean is not None), key=lambda cell: -cell.mean)
    if len(ranked) < 2 or ranked[0].sd is None or ranked[1].sd is None:
        return None
    first, second = ranked[:2]
    return first if first.mean - second.mean > max(first.sd, second.sd) else None
