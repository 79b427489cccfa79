"""The sentences below a table of scores."""

from __future__ import annotations

import pandas as pd

from rpt.records.schema import ALL_STEPS
from rpt.reports.grid_results import GridResults
from rpt.reports.labels import label, label_with_unit, signed
from rpt.reports.layouts import METHODS, Layout
from rpt.reports.paper import Number, Paper, row_name
from rpt.reports.scores import Cell

Rows = list[tuple[dict[str, str], dict[str, Cell]]]  # values of the row's axes, and its cells by column


def difference(cell: Cell, other: Number) -> float | None:
    return None if cell.mean is None or other is None else cell.mean - other


def covers(results: GridResults, paper: Paper, table: str) -> bool:
    """Whether the grid has all tasks that the paper's averages in a table are over."""
    return len(results.experiment.axes["task"]) >= len(paper.tasks(table))


def contrasts(layout: Layout, results: GridResults, paper: Paper, rows: Rows) -> list[str]:
    """The difference that the table is about, column by column, here and in the paper."""
    axis, high, low = layout.contrast
    sentences = []
    for at, cells in rows:
        other = {**at, axis: low}
        against = next((of for values, of in rows if values == other), None)
        if at[axis] != high or against is None:
            continue
        ours = {column: difference(cell, against[column].mean) for column, cell in cells.items()}
        backbone = paper.backbone_beside(layout.name, at["backbone"])
        pairs = {c: [paper.value(layout.name, backbone, row_name(row), c) for row in (at, other)] for c in cells}
        theirs = {c: first - second for c, (first, second) in pairs.items() if first is not None and second is not None}
        if not covers(results, paper, layout.name):
            theirs.pop("average", None)  # it is over other tasks
        if all(value is None for value in ours.values()):
            continue
        where = [label_with_unit(key, v) for key, v in at.items() if key not in (axis, "backbone", "prompt")]
        sentence = ", ".join([f"{label(axis, high)} − {label(axis, low)}", *where])
        sentence += f": here ({label('backbone', at['backbone'])}) {_listed(layout.columns, ours)}"
        if theirs:
            sentence += f"; the paper ({label('backbone', backbone)}) {_listed(layout.columns, theirs)}"
        sentences.append(f"{sentence}.")
    return sentences


def at_best_rates(layout: Layout, rows: Rows) -> list[str]:
    """Where learning rates stand across: each row at the one where its score is best, and what is then left of the
    difference that the table is about."""
    if layout.columns != "lr":
        return []
    axis, high, low = layout.contrast
    groups: dict[str, dict[str, tuple[float, str]]] = {}
    for at, cells in rows:
        scored = [(cell.mean, column) for column, cell in cells.items() if cell.mean is not None]
        if scored:
            where = row_in_words({key: at[key] for key in layout.groups if key in at})
            groups.setdefault(where, {})[at[axis]] = max(scored)
    sentences = []
    for where, best in groups.items():
        each = ", ".join(f"{label(axis, name)} {mean:.1f} ({column})" for name, (mean, column) in best.items())
        gap = ""
        if high in best and low in best:
            gap = f"; {label(axis, high)} − {label(axis, low)} {signed(best[high][0] - best[low][0])}"
        sentences.append(f"Each at its best rate of these, by the scores shown ({where}): {each}{gap}.")
    return sentences


def not_ahead(rows: Rows, floors: pd.DataFrame) -> list[str]:
    """The rows that have not learnt a task: within their spread of the majority class, or below it.

    Args:
        floors: the majority class's score, backbones by tasks; empty where tasks are not across.
    """
    found = []
    for at, cells in rows:
        tasks = [
            label("task", task)
            for task in floors.columns
            if cells[task].mean is not None
            and cells[task].mean - floors.at[at["backbone"], task] <= (cells[task].sd or 0.0)  # False beside NaN
        ]
        if tasks:
            found.append(f"{row_in_words(at)} ({', '.join(tasks)})")
    return [f"Not ahead of the majority class by more than the spread: {'; '.join(found)}."] if found else []


def spans(rows: Rows, floors: pd.DataFrame) -> list[str]:
    """Whether a task can tell methods apart: its floor, the best of all rows, the lowest and the highest prompt."""
    found = []
    for backbone in floors.index:
        of_backbone = [(at, cells) for at, cells in rows if at["backbone"] == backbone]
        words = []
        for task in floors.columns:
            scores = {at["prompt"]: cells[task].mean for at, cells in of_backbone if cells[task].mean is not None}
            prompts = [mean for prompt, mean in scores.items() if prompt not in METHODS]
            if len(prompts) > 1:
                span = f"{label('task', task)} {floors.at[backbone, task]:.1f}, {max(scores.values()):.1f}"
                words.append(f"{span}, {min(prompts):.1f} to {max(prompts):.1f}")
        if words:
            found.append(f"{label('backbone', backbone)} {'; '.join(words)}")
    said = f"Majority class, best of all rows, and prompts from the lowest to the highest: {'. '.join(found)}."
    return [said] if found else []


def out_of_budget(results: GridResults, axes: tuple[str, ...], columns: str) -> list[str]:
    """The runs whose epochs ended before their patience did: they may not have had enough. Where both ended with the
    same evaluation, more epochs would have changed nothing.

    Args:
        axes: those that name a row. columns: the one across.
    """
    runs = results.runs.reindex(columns=["stopped", "trainer.patience", "best.step", "history"])
    runs = runs[runs["trainer.patience"].notna()]
    if runs.empty:
        return []
    since_best = [
        sum(line["step"] > best for line in history)
        for best, history in zip(runs["best.step"], runs["history"], strict=True)
    ]
    waiting = (runs["stopped"] == ALL_STEPS) & (since_best < runs["trainer.patience"])
    counts = waiting.groupby(level=[*axes, columns]).agg(["sum", "count"])
    early = counts[counts["sum"] > 0]
    found = []
    for at in results.points(axes):
        cells = [(name, (*at.values(), name)) for name in results.experiment.axes[columns]]
        shares = [(name, *early.loc[cell]) for name, cell in cells if cell in early.index]
        if shares:
            words = ", ".join(f"{label_with_unit(columns, name)} {ended} of {of}" for name, ended, of in shares)
            found.append(f"{row_in_words(at)} ({words})")
    return [f"Runs whose epochs ended before their patience did: {'; '.join(found)}."] if found else []


def row_in_words(at: dict[str, str]) -> str:
    """A row by the values of its axes: nano PT, tokens 10."""
    name = " ".join(label(key, at[key]) for key in ("backbone", "prompt") if key in at)
    others = [f"{label('axis', key)} {label(key, at[key])}" for key in at if key not in ("backbone", "prompt")]
    return ", ".join([name, *others])


def _listed(axis: str, differences: dict[str, float | None]) -> str:
    known = {column: value for column, value in differences.items() if value is not None}
    return ", ".join(f"{label_with_unit(axis, column)} {signed(value)}" for column, value in known.items())
