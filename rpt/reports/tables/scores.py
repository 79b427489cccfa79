"""A table of scores: one layout filled from runs, with the paper's numbers beside ours at its scale."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pandas as pd

from rpt.reports.captions import average_in_words, captioned, metrics_in_words, training
from rpt.reports.grid_results import GridResults
from rpt.reports.labels import label, label_with_unit, signed
from rpt.reports.layouts import METHODS, Layout, file_name
from rpt.reports.paper import NAMES, Number, Paper, row_name
from rpt.reports.scores import Cell, floors, task_scores
from rpt.reports.tables.rates import rate_warnings
from rpt.reports.tables.remarks import at_best_rates, contrasts, difference, not_ahead, out_of_budget, spans
from rpt.reports.tables.table import Notes, Table, Text

Cells = dict[str, Cell]  # by column


class ScoreTable:
    """Fills one layout. Lines at the paper's scale come in threes: ours, the paper's, the difference."""

    def __init__(self, layout: Layout, results: GridResults, paper: Paper):
        self.layout, self.results, self.paper = layout, results, paper
        axes = results.experiment.axes
        self.scale, self.seeds = results.experiment.scale, len(axes["seed"])
        self.beside = self.scale == "paper"  # the paper's numbers stand beside ours
        self.axes = results.row_axes(layout.rows, layout.columns)
        across = axes[layout.columns]
        self.columns = (*across, "average") if layout.columns == "task" and len(across) > 1 else across
        summary = self._summary()
        self.rows = [(at, _cells(summary, tuple(at.values()), self.columns)) for at in results.points(self.axes)]
        self.floors = floors(results, layout.metrics) if layout.columns == "task" else pd.DataFrame()
        self.notes = Notes()
        self.records: list[dict[str, object]] = []

    def _summary(self) -> pd.DataFrame:
        """Mean, standard deviation and count over seeds: rows by (column, statistic)."""
        scores = task_scores(self.results, self.layout.metrics)
        if self.layout.columns != "task":
            scores = scores["average"].unstack(self.layout.columns).reindex(columns=list(self.columns))
        return scores.groupby(level=list(self.axes)).agg(["mean", "std", "count"])

    def table(self) -> Table:
        layout, axes = self.layout, self.results.experiment.axes
        labels = [label("axis", key) for key in self.axes] + ([""] if self.beside else [])
        columns = [label_with_unit(layout.columns, column) for column in self.columns]
        blocks = [block for block in (self._majority(), *self._blocks()) if block]
        about = f"Mean ± standard deviation over {self.seeds} seeds where not said otherwise, per cent"
        families = sorted({config.backbone.family for config in self.results.experiment.jobs.values()})
        words = metrics_in_words(axes["task"], layout.metrics, families[-1])
        judged = "wsc" in axes["task"] and families == ["bert", "t5"]
        words += "; encoders judge every row of WSC, by accuracy" if judged else ""
        title = layout.title.format(average=average_in_words(axes["task"]))
        return Table(
            name=file_name(layout.name, self.scale),
            caption=captioned(f"{title}. {about}; {words}.", self.scale),
            header=[*labels, *columns],
            labels=len(labels),
            blocks=blocks,
            records=self.records,
            notes=self.notes.texts,
            remarks=[
                *contrasts(layout, self.results, self.paper, self.rows),
                *at_best_rates(layout, self.rows),
                *(spans(self.rows, self.floors) if layout.name == "table1" else []),
                *not_ahead(self.rows, self.floors),
                *out_of_budget(self.results, self.axes, layout.columns),
                *rate_warnings(self.results),
                training(self.results),
            ],
        )

    def _blocks(self) -> Iterator[list[list[Text]]]:
        shown = set()
        groups = itertools.groupby(self.rows, key=lambda row: [row[0][k] for k in self.layout.groups if k in row[0]])
        for group in (list(rows) for _, rows in groups):
            block = []
            compared = [cells for at, cells in group if at.get("prompt") not in METHODS]
            boldest = {column: best([cells[column] for cells in compared]) for column in self.columns}
            for at, cells in group:
                backbone = NAMES.get(at["backbone"], at["backbone"])
                printed_at = (backbone, self.paper.row(self.layout.name, backbone, row_name(at)))
                shown.add(printed_at)
                block += self._lines(at, cells, {c: cells[c] is top for c, top in boldest.items()}, printed_at)
            yield block
        if self.beside:
            yield from self._rows_of_the_paper_alone(shown)

    def _lines(
        self, at: dict[str, str], cells: Cells, bold: dict[str, bool], printed_at: tuple[str, str]
    ) -> list[list[Text]]:
        """One row of the grid. printed_at: the paper's names of the backbone and the row."""
        labels = [Text(label(key, value)) for key, value in at.items()]
        printed = {c: self.paper.value(self.layout.name, *printed_at, c) if self.beside else None for c in self.columns}
        gaps = {c: difference(cells[c], printed[c]) for c in self.columns}
        for c in self.columns:
            self._record(at, c, cells[c], printed[c], gaps[c], bold[c], self._count_asked(at, c))
        ours = [Text(mean_and_spread(cells[c], self.seeds), bold=bold[c]) for c in self.columns]
        if not self.beside:
            return [[*labels, *ours]]
        lines = [[*labels, Text("ours"), *ours]]
        if any(value is not None for value in printed.values()):
            blank = [Text()] * len(labels)
            lines.append([*blank, *self._printed(printed_at, printed)])
            lines.append([*blank, Text("difference"), *(Text("" if g is None else signed(g)) for g in gaps.values())])
        return lines

    def _printed(self, printed_at: tuple[str, str], printed: dict[str, Number]) -> list[Text]:
        """The word "paper" and the paper's values, with their footnotes."""

        def noted(text: str, *column: str) -> Text:
            return Text(text, notes=self.notes.number(self.paper.notes(self.layout.name, *printed_at, *column)))

        values = [noted("" if value is None else f"{value:.1f}", column) for column, value in printed.items()]
        return [noted("paper"), *values]

    def _majority(self) -> list[list[Text]]:
        """The majority class of the training rows, for tables with tasks across: one line where backbones agree on the
        tasks that they have."""
        lines: dict[tuple[float | None, ...], list[str]] = {}
        for backbone, values in sorted(self.floors.iterrows(), key=lambda of: of[1].isna().sum()):  # most tasks first
            if values.notna().any():
                shown = [*values, values.mean(skipna=False)][: len(self.columns)]
                line = tuple(None if pd.isna(value) else float(value) for value in shown)
                same = (other for other in lines if all(a in (None, b) for a, b in zip(line, other, strict=True)))
                lines.setdefault(next(same, line), []).append(backbone)
        block = []
        for values, backbones in lines.items():
            of = backbones[0] if len(lines) > 1 else ""  # an encoder is given other rows of WSC
            place = {key: {"prompt": "majority class", "backbone": of}.get(key, "") for key in self.axes}
            for column, value in zip(self.columns, values, strict=True):
                self._record(place, column, Cell(value, None, 0), None, None, False, asked=None)
            texts = [Text("" if value is None else f"{value:.1f}") for value in values]
            labels = [Text(label(key, name)) for key, name in place.items()]
            block.append([*labels, *([Text()] * self.beside), *texts])
        return block

    def _rows_of_the_paper_alone(self, shown: set[tuple[str, str]]) -> Iterator[list[list[Text]]]:
        for backbone, rows in self.paper.rows(self.layout.name).items():
            block = []
            for row in (row for row in rows if (backbone, row) not in shown):
                printed = {c: self.paper.value(self.layout.name, backbone, row, c) for c in self.columns}
                names = {"backbone": backbone, "prompt": row}
                for column, value in printed.items():
                    self._record(names, column, Cell(None, None, 0), value, None, False, asked=0)
                labels = [Text(label(key, names.get(key, ""))) for key in self.axes]
                block.append([*labels, *self._printed((backbone, row), printed)])
            yield block

    def _count_asked(self, at: dict[str, str], column: str) -> int:
        """For how many seeds the grid has every run of a cell."""
        here = at if column == "average" else at | {self.layout.columns: column}
        tasks = [here["task"]] if "task" in here else self.results.experiment.axes["task"]
        return min(self.results.count_asked(here | {"task": task}) for task in tasks)

    def _record(
        self,
        at: dict[str, str],
        column: str,
        cell: Cell,
        printed: Number,
        gap: float | None,
        bold: bool,
        asked: int | None,
    ) -> None:
        """One line of the CSV. asked: None where nothing is counted, for it is no mean over seeds."""
        self.records.append(
            {"table": self.layout.name, "scale": self.scale}
            | {key: at.get(key, "") for key in self.axes}
            | {"column": column, "mean": cell.mean, "sd": cell.sd, "n": None if asked is None else cell.n}
            | {"asked": asked, "paper": printed, "difference": gap}
            | {"bold": "yes" if bold else ""}
        )


def _cells(summary: pd.DataFrame, row: tuple[str, ...], columns: tuple[str, ...]) -> Cells:
    """The row's cells; empty ones where nothing is recorded."""
    key = row if summary.index.nlevels > 1 else row[0]
    if key not in summary.index:
        return {column: Cell(None, None, 0) for column in columns}
    of_row = summary.loc[key]
    return {column: Cell.from_statistics(*of_row[column]) for column in columns}


def best(cells: list[Cell]) -> Cell | None:
    """The cell that is ahead of the next by more than either's standard deviation; None where that cannot be said."""
    ranked = sorted((cell for cell in cells if cell.mean is not None), key=lambda cell: -cell.mean)
    if len(ranked) < 2 or ranked[0].sd is None or ranked[1].sd is None:
        return None
    first, second = ranked[:2]
    return first if first.mean - second.mean > max(first.sd, second.sd) else None


def mean_and_spread(cell: Cell, asked: int) -> str:
    """`77.9 ± 0.4`, with how many seeds where there are fewer than asked; empty without any."""
    return str(cell) + ("" if cell.mean is None or cell.n == asked else f" ({cell.n} of {asked})")
