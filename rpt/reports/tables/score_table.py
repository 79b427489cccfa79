"""A table of scores: the majority class, the rows of the grid, and at the paper's scale its numbers beside ours."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import pandas as pd

from rpt.reports.grid_results import At, GridResults, pick_cell
from rpt.reports.labels import label_with_unit, signed
from rpt.reports.layouts import METHODS, Layout
from rpt.reports.paper import Paper, Place
from rpt.reports.scores import Cell, floors, task_scores
from rpt.reports.table import Line, Record, Table, Text, make_table, number


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
    if len(ranked) < 2:
        return None
    first, second = ranked[:2]
    gap, spreads = first.minus(second.mean), [cell.sd for cell in (first, second) if cell.sd is not None]
    return first if gap is not None and len(spreads) == 2 and gap > max(spreads) else None


def score_table(numbers: ScoreRows, paper: Paper, facts: Mapping[str, object]) -> Table:
    """Lay out the rows.

    Args:
        facts: what rpt.reports.tables.findings finds in them.
    """
    layout, results, notes = numbers.layout, numbers.results, dict[str, int]()
    beside = results.scale == "paper"
    alone = rows_of_the_paper(numbers, paper) if beside else []
    by_backbone = [[*rows] for _, rows in itertools.groupby(alone, key=lambda row: row.at["backbone"])]
    groups = [group for group in (majority_rows(numbers), *numbers.groups, *by_backbone) if group]
    columns = [*[""] * beside, *(label_with_unit(layout.columns, column) for column in numbers.columns)]
    lines = [[line for row in group for line in _lines(row, numbers, paper, notes)] for group in groups]
    records = [record for group in groups for row in group for record in _records(row)]
    more = {"notes": [*notes], "seeds": len(results.experiment.axes["seed"])}
    return make_table(layout.name, "scores", results, numbers.axes, columns, lines, records, facts, **more)


def _lines(row: Row, numbers: ScoreRows, paper: Paper, notes: dict[str, int]) -> Iterator[Line]:
    """Ours alone; at the paper's scale ours, the paper's where it has any, and the difference."""
    beside, seeds = numbers.results.scale == "paper", len(numbers.results.experiment.axes["seed"])
    if row.place is None:
        yield row.at, [*[""] * beside, *map(str, row.cells.values())]
        return
    ours = [Text(mean_and_spread(cell, seeds), bold=column in row.bold) for column, cell in row.cells.items()]
    is_theirs, blank = not any(row.asked.values()), dict.fromkeys(row.at, "")
    if not is_theirs and (beside or not row.is_empty):
        yield row.at, [*["ours"] * beside, *ours]
    if any(value is not None for value in row.printed.values()):
        noted = {c: number(paper.notes(numbers.layout.name, *row.place, c), notes) for c in (*row.printed, None)}
        values = [Text("" if v is None else f"{v:.1f}", notes=noted[c]) for c, v in row.printed.items()]
        yield row.at if is_theirs else blank, [Text("paper", notes=noted[None]), *values]
        if not is_theirs:
            yield blank, ["difference", *("" if gap is None else signed(gap) for gap in row.gaps.values())]


def _records(row: Row) -> Iterator[Record]:
    """The row's lines of the CSV."""
    for column, cell in row.cells.items():
        asked = row.asked.get(column)
        yield (
            {**row.at, "column": column, "mean": cell.mean, "sd": cell.sd, "n": None if asked is None else cell.n}
            | {"asked": asked, "paper": row.printed[column], "difference": row.gaps[column]}
            | {"bold": "yes" if column in row.bold else ""}
        )


def mean_and_spread(cell: Cell, asked: int) -> str:
    """`77.9 ± 0.4`, with how many seeds where there are fewer than asked; empty without any."""
    return str(cell) + ("" if cell.mean is None or cell.n == asked else f" ({cell.n} of {asked})")
