"""Any folder of records, grouped by what differs among them: a table, and a figure along each numeric setting."""

from __future__ import annotations

import io
import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from rpt.files import write_atomically
from rpt.records.run_records import RunRecords
from rpt.records.schema import RunRecord, flatten

FIRST = ("task.name", "backbone.name", "prompt")  # these say most; "prompt" is the method where it takes its place
SHORT = {"task.name": "task", "backbone.name": "backbone"}
FAMILIAR = ("backbone.family", "method.", "prompt.name", "prompt.reparameterization")  # follow from those
STATISTICS = ["mean", "sd", "n", "trained", "seconds"]
SHOWN = 12  # lines of a figure, and best values that are named


@dataclass(frozen=True)
class Summary:
    """runs: a row for each, a column for each setting, and its results. axes: what differs and is not implied by
    others. implied: settings that differ with them. groups: a row for each combination, statistics over seeds.
    settings: of each run, nested."""

    runs: pd.DataFrame
    axes: list[str]
    implied: list[str]
    groups: pd.DataFrame
    settings: list[dict[str, Any]]
    problems: list[str]

    @property
    def numeric(self) -> list[str]:
        """Axes with several numbers."""
        return [axis for axis in self.axes if self.runs[axis].map(_is_number).sum() and _numbers(self.runs[axis]) > 1]


def summarise(folder: Path) -> Summary:
    """Every finished run below a folder, wherever in it `runs/` lies."""
    records, problems = _read(folder)
    runs = pd.DataFrame([_flat(record) for record in records])
    if runs.empty:
        return Summary(runs, [], [], runs, [], problems)
    axes, implied = _find_axes(runs)
    by_axes = runs.groupby(axes, dropna=False, sort=False)
    groups = by_axes.agg(
        mean=("score", "mean"), sd=("score", "std"), n=("score", "count"), trained=("trained", "first"),
        seconds=("seconds", "mean"),
    ).reset_index().sort_values(axes, key=_sortable, kind="stable", ignore_index=True)  # fmt: skip
    return Summary(runs, axes, implied, groups, [record.settings for record in records], problems)


def find_best(summary: Summary, axis: str) -> Iterator[tuple[dict[str, Any], pd.DataFrame]]:
    """For each combination of the other axes: its values, and its groups along this axis, ordered by number.

    The group with the highest mean is the best.
    """
    others = [other for other in summary.axes if other != axis]
    there = summary.groups[summary.groups[axis].map(_is_number)]
    for values, line in there.groupby(others, dropna=False, sort=False) if others else [((), there)]:
        if len(line) > 1:
            yield dict(zip(others, values, strict=True)), line.astype({axis: float}).sort_values(axis)


def to_markdown(summary: Summary) -> str:
    """The table, what it rests on, and the best value along each numeric axis."""
    runs, groups = summary.runs, summary.groups
    header = [*map(name_of, summary.axes), "score", "n", "trained", "seconds"]
    rows = []
    for line in groups.to_dict("records"):
        spread = "" if pd.isna(line["sd"]) else f" ± {line['sd']:.1f}"
        own = [f"{line['mean']:.1f}{spread}", str(line["n"]), f"{line['trained']:,}", f"{line['seconds']:,.0f}"]
        rows.append([*(show(line[axis]) for axis in summary.axes), *own])
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = [header, ["-" * width for width in widths], *rows]
    table = ["| " + " | ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)) + " |" for line in lines]
    seeds = sorted(set(runs["seed"]))
    listed = f"seeds {', '.join(map(str, seeds))}" if len(seeds) <= 10 else f"{len(seeds):,} seeds"
    said = [f"{len(runs):,} runs, {listed}. Score: mean ± standard deviation over seeds, per cent.", "", *table, ""]
    if summary.implied:
        said.append(f"What differs with these: {', '.join(map(name_of, summary.implied))}.")
    for axis in summary.numeric:
        best = [
            f"{' '.join(show(value) for value in at.values()) or 'all'}: {show(top[axis])} ({top['mean']:.1f})"
            for at, line in find_best(summary, axis)
            for top in [line.loc[line["mean"].idxmax()]]
        ]
        more = f"; and {len(best) - SHOWN} more" if len(best) > SHOWN else ""
        if best:
            said.append(f"Best {name_of(axis)}: {'; '.join(best[:SHOWN])}{more}.")
    return "\n".join(said) + "\n"


def to_csv(summary: Summary) -> str:
    """The groups, unrounded."""
    buffer = io.StringIO()
    summary.groups[[*summary.axes, *STATISTICS]].rename(columns=name_of).to_csv(buffer, index=False)
    return buffer.getvalue()


def write_summary(summary: Summary, folder: Path, csv: Path | None = None) -> list[Path]:
    """summary.md and figures/along-AXIS.png below the folder, and the CSV where it is wanted; what was written."""
    files = {folder / "summary.md": to_markdown(summary).encode()}
    if csv is not None:
        files[csv] = to_csv(summary).encode()
    if summary.numeric:
        from rpt.reports.figures.along import draw_along  # slow to import

        for axis in summary.numeric:
            if (image := draw_along(summary, axis)) is not None:
                files[folder / "figures" / f"along-{name_of(axis).replace('.', '-')}.png"] = image
    for path, content in files.items():
        write_atomically(path, content)
    return list(files)


def describe_nothing(folder: Path, problems: list[str]) -> str:
    """What lies below a folder without a finished run."""
    failed = sum("failed run" in problem for problem in problems)
    under_way = len(list(folder.rglob("checkpoint.safetensors")))
    what = [
        f"{failed} failed" if failed else "",
        f"{len(problems) - failed} left out" if len(problems) > failed else "",
        f"{under_way} not finished (the same command goes on)" if under_way else "",
    ]
    found = ", ".join(filter(None, what)) or "no run at all; give the folder that results= was in training"
    return f"There is no finished run below {folder}: {found}."


def name_of(column: str) -> str:
    """A setting as one types it."""
    return SHORT.get(column, column)


def show(value: Any) -> str:
    """A value as one types it; a setting that a run does not have is a dash."""
    if value is None or (isinstance(value, float) and pd.isna(value)):
        return "–"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _read(folder: Path) -> tuple[list[RunRecord], list[str]]:
    """The records below a folder, itself perhaps a part of one of results, and why others are left out."""
    below = folder.resolve()
    paths = [(path, 5) for path in below.rglob("result.json")] + [(path, 2) for path in below.rglob("*.jsonl")]
    roots = {path.parents[up] for path, up in paths if len(path.parents) > up and path.parents[up - 1].name == "runs"}
    records, problems = [], []
    for root in sorted(roots):
        found = RunRecords(root)
        records += [record for record in found if root.is_relative_to(below) or record.folder.is_relative_to(below)]
        problems += found.problems
    return records, problems


def _flat(record: RunRecord) -> dict[str, Any]:
    own, result = flatten(record.settings), record.result
    hashable = {key: json.dumps(value) if isinstance(value, list | dict) else value for key, value in own.items()}
    return hashable | {
        "prompt": result["prompt"], "score": result["scores"]["score"], "trained": result["parameters"]["trained"],
        "seconds": result["seconds"], "folder": str(record.folder),
    }  # fmt: skip


def _find_axes(runs: pd.DataFrame) -> tuple[list[str], list[str]]:
    """What differs but for the seed; and of it what one of the others implies."""
    results = {"score", "trained", "seconds", "folder", "seed"}
    columns = [column for column in runs if column not in results]
    differing = [column for column in columns if runs[column].nunique(dropna=False) > 1]
    axes = [column for column in FIRST if column in differing]
    rest = [column for column in differing if column not in axes and not column.startswith(FAMILIAR)]
    implied: list[str] = []
    for column in rest:
        counts = runs.groupby(axes, dropna=False)[column].nunique(dropna=False) if axes else pd.Series([2])
        (axes if counts.max() > 1 else implied).append(column)

    def is_news(column: str) -> bool:
        """Not what makes one task, backbone or prompt another one."""
        group = column.partition(".")[0]
        of_axis = any(axis.partition(".")[0] == group for axis in axes)
        return not of_axis or (group == "prompt" and runs[column].notna().all())

    return axes or ["prompt"], [column for column in implied if is_news(column)]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and not pd.isna(value)


def _numbers(column: pd.Series) -> int:
    return column[column.map(_is_number)].nunique()


def _sortable(column: pd.Series) -> pd.Series:
    """Numbers by size, then texts, then what is missing."""
    order = sorted(
        set(column), key=lambda value: (not _is_number(value), value if _is_number(value) else 0, str(value))
    )
    places = dict(zip(map(show, order), itertools.count(), strict=False))
    return column.map(lambda value: places[show(value)])
