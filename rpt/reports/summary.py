"""Any folder, grouped by what differs. rpt.reports.summary_page writes it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from rpt.config.schema import Values
from rpt.records.run_records import RunRecords
from rpt.records.schema import RunRecord, flatten

FIRST = ("task.name", "backbone.name", "prompt")  # always shown; "prompt" is the method that replaces it
SHORT = {"task.name": "task", "backbone.name": "backbone"}
FAMILIAR = ("backbone.family", "method.", "prompt.name", "prompt.reparameterization")  # implied by those
ORIGIN = ("rows", "weights", "precision")  # no settings, but runs that differ in them are no seeds of one another
SHOWN = 12  # lines of a figure, and best values that are named


@dataclass(frozen=True)
class Summary:
    """runs: a row for each, with its settings and results. axes: settings that differ and are not implied by others;
    if runs of equal settings differ in what ORIGIN lists, that too. implied: settings that differ with them.
    groups: statistics over seeds for each combination of the axes.
    settings: of each run, nested."""

    runs: pd.DataFrame
    axes: list[str]
    implied: list[str]
    groups: pd.DataFrame
    settings: list[Values]
    problems: list[str]

    @property
    def numeric(self) -> list[str]:
        """Axes with several numbers."""
        return [axis for axis in self.axes if self.runs[axis][self.runs[axis].map(_is_number)].nunique() > 1]


def summarise(folder: Path) -> Summary:
    """Summarise every finished run below a folder.

    Raises:
        UsageError: there is none.
    """
    records = RunRecords(folder).require()
    settings = pd.DataFrame([_describe(record) for record in records])
    settings = settings.map(lambda value: json.dumps(value) if isinstance(value, list | dict) else value)
    axes, implied = _find_axes(settings.drop(columns="seed"))
    results = [
        {"score": result["scores"]["score"], "majority": result["majority"].get("score"), "history": record.history}
        | {"trained": result["parameters"]["trained"], "seconds": result["seconds"]}
        for record, result in ((record, record.result) for record in records)
    ]
    runs = settings.join(pd.DataFrame(results)).sort_values(axes, key=_sortable, kind="stable", ignore_index=True)
    constant = {column: (column, "first") for column in FIRST if column not in axes}
    groups = runs.groupby(axes, dropna=False, sort=False).agg(
        **constant, mean=("score", "mean"), sd=("score", "std"), n=("score", "count"), majority=("majority", "mean"),
        trained=("trained", "first"), seconds=("seconds", "mean"),
    ).reset_index()  # fmt: skip
    return Summary(runs, axes, implied, groups, [record.settings for record in records], records.problems)


def find_lines(summary: Summary, axis: str) -> Iterator[tuple[list[object], pd.DataFrame]]:
    """The values and runs of each combination of the other axes that has several numbers along this one."""
    others = [other for other in summary.axes if other != axis]
    numbered = summary.runs[summary.runs[axis].map(_is_number)].astype({axis: float})
    for values, runs in numbered.groupby(others, dropna=False, sort=False) if others else [((), numbered)]:
        if runs[axis].nunique() > 1:
            yield [*values], runs


def find_best(summary: Summary, axis: str) -> Iterator[tuple[list[object], float, float]]:
    """For each of these lines: the other axes' values, the number with the highest mean score, and that score. Numbers
    are compared over the seeds that all of them have, if there are such."""
    for values, runs in find_lines(summary, axis):
        scores = runs.pivot_table(index=axis, columns="seed", values="score")
        shared = scores.dropna(axis=1)
        best = (scores if shared.empty else shared).mean(axis=1).idxmax()
        yield values, best, scores.loc[best].mean()


def name_of(column: str) -> str:
    """The key of a setting as one types it."""
    return SHORT.get(column, column)


def show(value: object) -> str:
    """A value as it is typed; a dash for a setting that the run does not have."""
    if pd.isna(value):
        return "–"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _describe(record: RunRecord) -> Values:
    """The run's settings, and what ORIGIN lists: all that numbers depend on, and the seed."""
    result, rows = record.result, record.result["data"]
    named = f"{'miniature ' * rows['miniature']}{rows['fingerprint'][:8]}"
    origin = dict(zip(ORIGIN, (named, result["backbone_fingerprint"][:8], result["precision"]), strict=True))
    return flatten(record.settings) | {"prompt": result["prompt"]} | origin


def _find_axes(settings: pd.DataFrame) -> tuple[list[str], list[str]]:
    """Find the settings that differ, and those of them that others imply."""
    differing = [column for column in settings if settings[column].nunique(dropna=False) > 1]
    axes, implied = [column for column in FIRST if column in differing], list[str]()
    for column in differing:
        if column not in axes and not column.startswith(FAMILIAR):
            by_axes = settings.groupby(axes, dropna=False) if axes else settings.groupby(lambda _: True)
            (axes if by_axes[column].nunique(dropna=False).max() > 1 else implied).append(column)
    groups = {axis.partition(".")[0] for axis in axes}

    def is_news(column: str) -> bool:
        """Whether a column is a setting and no part of the definition of a task, backbone or prompt."""
        group = column.partition(".")[0]
        return group not in (*ORIGIN, *groups) or (group == "prompt" and settings[column].notna().all())

    return axes or ["prompt"], [column for column in implied if is_news(column)]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and not pd.isna(value)


def _sortable(column: pd.Series) -> pd.Series:
    """Order numbers by size, then texts."""
    order = sorted(set(column), key=lambda value: (0, value, "") if _is_number(value) else (1, 0, str(value)))
    places = {show(value): place for place, value in enumerate(order)}
    return column.map(lambda value: places[show(value)])
