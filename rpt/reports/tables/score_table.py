"""A table of scores: the majority class, the rows of the grid, and at the paper's scale its numbers beside ours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from rpt.reports.grid_results import At, GridResults
from rpt.reports.labels import label_with_unit, signed
from rpt.reports.layouts import METHODS, Layout
from rpt.reports.paper import Paper, Place, name_axes
from rpt.reports.scores import Cell, floors, task_scores
from rpt.reports.table import Line, Table, Text, make_table, number

MAJORITY = "majority class"


@dataclass(frozen=True)
class Scores:
    """A layout filled: data frames with a line for each row of the grid and a column for each of the table.

    by_seed: a line for each row and seed. mean, sd, n: over seeds. asked: how many seeds the grid has.
    floors: the majority class's scores, backbones by columns; empty where tasks are not across.
    places: the paper's names of backbone and row; at its scale also of the rows that only the paper has.
    """

    layout: Layout
    results: GridResults
    by_seed: pd.DataFrame
    mean: pd.DataFrame
    sd: pd.DataFrame
    n: pd.DataFrame
    asked: pd.DataFrame
    floors: pd.DataFrame
    places: dict[tuple[str, ...], Place]

    @property
    def axes(self) -> list[str]:
        """Those that name a row."""
        return [*self.mean.index.names]

    @property
    def points(self) -> list[At]:
        """The rows of the grid."""
        return self.mean.index.to_frame().to_dict("records")

    @property
    def keys(self) -> list[str]:
        """The axes that rows share if they compete for bold."""
        return [key for key in self.layout.groups if key in self.axes]

    def have_same_seeds(self, row: tuple[str, ...], other: tuple[str, ...]) -> pd.Series:
        """By column, whether two rows have runs of the same seeds."""
        recorded = self.by_seed.notna().unstack("seed", fill_value=False).reindex(self.mean.index, fill_value=False)
        return (recorded.loc[row] == recorded.loc[other]).groupby(level=0).all()


def fill(layout: Layout, results: GridResults, paper: Paper) -> Scores:
    """Fill the rows of the grid."""
    axes, columns = list(results.row_axes(layout.rows, layout.columns)), [*results.experiment.axes[layout.columns]]
    columns += ["average"] * (layout.columns == "task" and len(columns) > 1)

    def across(by_task: pd.DataFrame) -> pd.DataFrame:
        wide = by_task if layout.columns == "task" else by_task["average"].unstack(layout.columns)
        return wide.reindex(columns=columns)

    points = results.points(axes)
    places = {tuple(at.values()): paper.place(layout.name, at) for at in points}
    for place in paper.rows_without(layout.name, [*places.values()]) if results.scale == "paper" else ():
        places[tuple(name_axes(axes, place).values())] = place
    rows = pd.MultiIndex.from_frame(pd.DataFrame(points))
    by_seed = across(task_scores(results, layout.metrics)).groupby(level=[*axes, "seed"]).first()
    by_row = by_seed.groupby(level=axes)
    mean, sd, n = by_row.mean().reindex(rows), by_row.std().reindex(rows), by_row.count().reindex(rows, fill_value=0)
    asked = across(results.count_seeds()).groupby(level=axes).sum().reindex(rows)
    lowest = floors(results, layout.metrics)[columns] if layout.columns == "task" else pd.DataFrame()
    return Scores(layout, results, by_seed, mean, sd, n, asked, lowest, places)


def leads(mean: pd.DataFrame, sd: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Where a row is ahead of the next by more than either's standard deviation, among rows that share these axes."""
    rank = mean.groupby(level=keys).rank(ascending=False, method="first")
    second, its_sd = (each.where(rank == 2).groupby(level=keys).transform("max") for each in (mean, sd))
    return (rank == 1) & (mean - second > np.maximum(sd, its_sd))


def score_table(scores: Scores, paper: Paper, facts: Mapping[str, object]) -> Table:
    """Lay out the rows.

    Args:
        facts: what rpt.reports.tables.findings finds in them.
    """
    layout, results, axes, notes = scores.layout, scores.results, scores.axes, dict[str, int]()
    cells, blocks = _cells(scores, paper), dict[tuple[str, ...], list[Line]]()
    for row, of_row in cells.groupby(level=axes, sort=False):
        at = dict(zip(axes, row, strict=True))
        block = tuple(at[key] for key in scores.keys) if row in scores.places else (MAJORITY,)
        blocks.setdefault(block, []).extend(_lines(at, of_row.droplevel(axes), scores, paper, notes))
    columns = [*[""] * (results.scale == "paper"), *(label_with_unit(layout.columns, name) for name in scores.mean)]
    records = cells.reset_index().to_dict("records")
    more = {"notes": [*notes], "seeds": len(results.experiment.axes["seed"])}
    return make_table(layout.name, "scores", results, axes, columns, blocks.values(), records, facts, **more)


def _cells(scores: Scores, paper: Paper) -> pd.DataFrame:
    """A line for each row and column, as in the CSV: the majority class, ours, and those that only the paper has."""
    beside, majority, prompts = scores.results.scale == "paper", _majority(scores), scores.mean.index.unique("prompt")
    places = pd.MultiIndex.from_tuples([*scores.places], names=scores.axes)
    printed = [
        [paper.number(scores.layout.name, *place, column) if beside else None for column in scores.mean]
        for place in scores.places.values()
    ]
    compared = scores.mean.index.isin(prompts.difference(METHODS), level="prompt")
    numbers = {
        "mean": pd.concat([majority, scores.mean]), "sd": scores.sd,
        "n": scores.n.reindex(places, fill_value=0), "asked": scores.asked.reindex(places, fill_value=0),
        "paper": pd.DataFrame(printed, places, [*scores.mean], dtype=float),
        "bold": leads(scores.mean[compared], scores.sd[compared], scores.keys),
    }  # fmt: skip
    rows = majority.index.append(places)
    long = [numbers[name].reindex(rows).stack(future_stack=True).rename(name) for name in numbers]
    cells = pd.concat(long, axis=1).astype({"n": "Int64", "asked": "Int64"})
    cells["bold"] = cells["bold"].map({True: "yes"}).fillna("")
    cells.insert(5, "difference", cells["mean"] - cells["paper"])
    return cells.rename_axis([*scores.axes, "column"]).astype(object).where(cells.notna(), None)


def _majority(scores: Scores) -> pd.DataFrame:
    """The majority class of the training rows: one row where backbones agree. (Encoders have other rows of WSC.)"""
    lines = scores.floors.dropna(how="all")
    agree = (lines.nunique() <= 1).all()
    lines = lines.bfill().head(1) if agree else lines.drop_duplicates()
    names = [{"prompt": MAJORITY, "backbone": "" if agree else backbone} for backbone in lines.index]
    index = pd.DataFrame(names, columns=scores.axes, dtype=str).fillna("")
    return lines.set_axis(pd.MultiIndex.from_frame(index)).reindex(columns=scores.mean.columns)


def _lines(at: At, cells: pd.DataFrame, scores: Scores, paper: Paper, notes: dict[str, int]) -> Iterator[Line]:
    """Ours alone; at the paper's scale ours, the paper's where it has any, and the difference."""
    beside, place = scores.results.scale == "paper", scores.places.get(tuple(at.values()))
    is_ours = cells["asked"].any()
    if place is None or (is_ours and (beside or cells["mean"].notna().any())):
        shown = cells[["mean", "sd", "n", "asked", "bold"]].itertuples(index=False)
        ours = [Text(mean_and_spread(Cell(*cell), asked), bold=bool(bold)) for *cell, asked, bold in shown]
        yield at, [*["ours" if place else ""] * beside, *ours]
    if place and cells["paper"].notna().any():
        noted = {c: number(paper.notes(scores.layout.name, *place, c), notes) for c in (*cells.index, None)}
        theirs = [Text("" if v is None else f"{v:.1f}", notes=noted[c]) for c, v in cells["paper"].items()]
        blank = dict.fromkeys(at, "")
        yield blank if is_ours else at, [Text("paper", notes=noted[None]), *theirs]
        if is_ours:
            yield blank, ["difference", *("" if gap is None else signed(gap) for gap in cells["difference"])]


def mean_and_spread(cell: Cell, asked: int | None) -> str:
    """`77.9 ± 0.4`, with how many seeds where there are fewer than asked; empty without any."""
    return str(cell) + (f" ({cell.n} of {asked})" if str(cell) and cell.n != asked else "")
