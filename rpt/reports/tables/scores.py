"""A table of scores laid out: ours, and at the paper's scale the paper's numbers and the differences below."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pandas as pd

from rpt.reports.grid_results import GridResults
from rpt.reports.labels import label, label_with_unit, signed
from rpt.reports.layouts import METHODS, Layout
from rpt.reports.paper import Number, Paper
from rpt.reports.scores import Cell, metrics_of
from rpt.reports.tables import findings
from rpt.reports.tables.build import Lines, make_table, row_labels
from rpt.reports.tables.rates import limits
from rpt.reports.tables.score_rows import At, Cells, fill
from rpt.reports.tables.table import Notes, Table, Text


def score_table(layout: Layout, results: GridResults, paper: Paper) -> Table:
    """One layout filled from runs."""
    return ScoreTable(layout, results, paper).table()


class ScoreTable:
    """Lays out one table. At the paper's scale lines come in threes: ours, the paper's, the difference."""

    def __init__(self, layout: Layout, results: GridResults, paper: Paper):
        self.layout, self.results, self.paper = layout, results, paper
        self.numbers = fill(layout, results)
        self.axes, self.columns = self.numbers.axes, self.numbers.columns
        self.beside = results.experiment.scale == "paper"  # the paper's numbers stand beside ours
        self.seeds = len(results.experiment.axes["seed"])
        self.notes = Notes()
        self.records: list[dict[str, object]] = []

    def table(self) -> Table:
        titles = [*[""] * self.beside, *(label_with_unit(self.layout.columns, column) for column in self.columns)]
        blocks = [block for block in (self._majority(), *self._groups()) if block]
        made = make_table(
            self.layout.name, "scores", self.results, self.axes, titles, blocks, self.records, self.notes.texts,
            **self._facts(),
        )  # fmt: skip
        return made

    def _facts(self) -> dict[str, Any]:
        """What the caption and the remarks say."""
        numbers, tasks = self.numbers, self.results.experiment.axes["task"]
        families = sorted({config.backbone.family for config in self.results.experiment.jobs.values()})
        return {
            "layout": self.layout, "seeds": self.seeds, "tasks": tasks,
            "metrics": {task: metrics_of(task, self.layout.metrics, families[-1]) for task in tasks},
            "judged": "wsc" in tasks and families == ["bert", "t5"],
            "contrasts": findings.contrasts(numbers, self.paper),
            "best_rates": findings.at_best_rates(numbers),
            "spans": findings.spans(numbers) if self.layout.name == "table1" else {},
            "not_ahead": findings.not_ahead(numbers),
            "out_of_budget": findings.out_of_budget(self.results, self.axes, self.layout.columns),
            "unrecorded": [] if self.beside else findings.unrecorded(numbers),
            "limits": limits(self.results),
        }  # fmt: skip

    def _groups(self) -> Iterator[Lines]:
        """The rows of the grid, those that are compared for bold together; then the rows that only the paper has."""
        keys = [key for key in self.layout.groups if key in self.axes]
        shown = set()
        for _, group in itertools.groupby(self.numbers.rows, key=lambda row: [row[0][key] for key in keys]):
            rows, block = list(group), []
            compared = [cells for at, cells in rows if at.get("prompt") not in METHODS]
            boldest = {column: findings.best([cells[column] for cells in compared]) for column in self.columns}
            for at, cells in rows:
                place = self.paper.place(self.layout.name, at)
                shown.add(place)
                block += self._row(at, cells, {c for c, top in boldest.items() if cells[c] is top}, place)
            yield block
        if self.beside:
            alone = self.paper.rows_without(self.layout.name, shown)
            for _, places in itertools.groupby(alone, key=lambda place: place[0]):
                yield [self._row_of_the_paper(place) for place in places]

    def _row(self, at: At, cells: Cells, bold: set[str], place: tuple[str, str]) -> Lines:
        """One row of the grid. place: the paper's names of the backbone and the row."""
        printed = {c: self.paper.value(self.layout.name, *place, c) if self.beside else None for c in self.columns}
        gaps = {column: cells[column].minus(printed[column]) for column in self.columns}
        for c in self.columns:
            self._record(at, c, cells[c], printed[c], gaps[c], c in bold, n=cells[c].n, asked=self._count_asked(at, c))
        ours = [Text(mean_and_spread(cells[c], self.seeds), bold=c in bold) for c in self.columns]
        if not self.beside:
            return [] if findings.is_empty(cells) else [[*row_labels(self.results, at), *ours]]
        lines = [[*row_labels(self.results, at), Text("ours"), *ours]]
        if any(value is not None for value in printed.values()):
            blank = [Text()] * len(at)
            lines.append([*blank, *self._printed(place, printed)])
            lines.append([*blank, Text("difference"), *(Text("" if g is None else signed(g)) for g in gaps.values())])
        return lines

    def _row_of_the_paper(self, place: tuple[str, str]) -> list[Text]:
        printed = {column: self.paper.value(self.layout.name, *place, column) for column in self.columns}
        names = dict(zip(("backbone", "prompt"), place, strict=True))
        for column, value in printed.items():
            self._record(names, column, Cell(), value, n=0, asked=0)
        return [*(Text(label(key, names.get(key, ""))) for key in self.axes), *self._printed(place, printed)]

    def _printed(self, place: tuple[str, str], printed: dict[str, Number]) -> list[Text]:
        """The word "paper" and the paper's values, with their footnotes."""

        def noted(text: str, *column: str) -> Text:
            return Text(text, notes=self.notes.number(self.paper.notes(self.layout.name, *place, *column)))

        values = [noted("" if value is None else f"{value:.1f}", column) for column, value in printed.items()]
        return [noted("paper"), *values]

    def _majority(self) -> Lines:
        """The majority class of the training rows, for tables with tasks across: one line where backbones agree on the
        tasks that they have."""
        lines: dict[tuple[float | None, ...], list[str]] = {}
        floors = self.numbers.floors
        for backbone in floors.isna().sum(axis=1).sort_values(kind="stable").index:  # most tasks first
            values = floors.loc[backbone]
            if values.notna().any():
                shown = [*values, values.mean(skipna=False)][: len(self.columns)]
                line = tuple(None if pd.isna(value) else float(value) for value in shown)
                same = (other for other in lines if all(a in (None, b) for a, b in zip(line, other, strict=True)))
                lines.setdefault(next(same, line), []).append(backbone)
        block = []
        for values, backbones in lines.items():
            backbone = backbones[0] if len(lines) > 1 else ""  # an encoder is given other rows of WSC
            place = {key: {"prompt": "majority class", "backbone": backbone}.get(key, "") for key in self.axes}
            for column, value in zip(self.columns, values, strict=True):
                self._record(place, column, Cell(value))
            texts = [Text("" if value is None else f"{value:.1f}") for value in values]
            block.append([*row_labels(self.results, place), *([Text()] * self.beside), *texts])
        return block

    def _count_asked(self, at: At, column: str) -> int:
        """For how many seeds the grid has every run of a cell."""
        here = at if column == "average" else at | {self.layout.columns: column}
        tasks = [here["task"]] if "task" in here else self.results.experiment.axes["task"]
        return min(self.results.count_asked(here | {"task": task}) for task in tasks)

    def _record(
        self, at: At, column: str, cell: Cell, printed: Number = None, gap: float | None = None, bold: bool = False,
        n: int | None = None, asked: int | None = None,
    ) -> None:  # fmt: skip
        """One line of the CSV. n, asked: None where nothing is counted, for it is no mean over seeds."""
        self.records.append(
            {key: at.get(key, "") for key in self.axes}
            | {"column": column, "mean": cell.mean, "sd": cell.sd, "n": n, "asked": asked}
            | {"paper": printed, "difference": gap, "bold": "yes" if bold else ""}
        )


def mean_and_spread(cell: Cell, asked: int) -> str:
    """`77.9 ± 0.4`, with how many seeds where there are fewer than asked; empty without any."""
    return str(cell) + ("" if cell.mean is None or cell.n == asked else f" ({cell.n} of {asked})")
