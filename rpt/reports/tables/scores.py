"""A table of scores laid out. Ours, and at the paper's scale the paper's numbers and the differences below."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from rpt.reports.grid_results import GridResults
from rpt.reports.labels import label_with_unit, signed
from rpt.reports.layouts import Layout
from rpt.reports.paper import Paper
from rpt.reports.scores import Cell
from rpt.reports.table import Line, Notes, Record, Table, Text, make_table
from rpt.reports.tables.findings import find_all
from rpt.reports.tables.score_rows import Row, ScoreRows, fill, majority_rows, rows_of_the_paper


def score_table(layout: Layout, results: GridResults, paper: Paper) -> Table:
    """Fill a layout from runs."""
    numbers, notes, beside = fill(layout, results, paper), Notes(), results.scale == "paper"
    alone = rows_of_the_paper(numbers, paper) if beside else []
    by_backbone = [[*rows] for _, rows in itertools.groupby(alone, key=lambda row: row.at["backbone"])]
    groups = [group for group in (majority_rows(numbers), *numbers.groups, *by_backbone) if group]
    columns = [*[""] * beside, *(label_with_unit(layout.columns, column) for column in numbers.columns)]
    lines = [[line for row in group for line in _lines(row, numbers, paper, notes)] for group in groups]
    records = [record for group in groups for row in group for record in _records(row)]
    facts, more = find_all(numbers, paper), {"notes": notes.texts, "seeds": len(results.experiment.axes["seed"])}
    return make_table(layout.name, "scores", results, numbers.axes, columns, lines, records, facts, **more)


def _lines(row: Row, numbers: ScoreRows, paper: Paper, notes: Notes) -> Iterator[Line]:
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
        noted = {c: notes.number(paper.notes(numbers.layout.name, *row.place, c)) for c in (*row.printed, None)}
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
