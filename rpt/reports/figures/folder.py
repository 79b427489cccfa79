"""Figures of any folder of records: scores along each setting of several numbers or as bars, and curves over epochs."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.style import context

from rpt.reports.figures import style
from rpt.reports.summary import SHOWN, Summary, find_best, find_lines, name_of, show

DASHES = ("-", "--", "-.", ":")


def draw_folder(summary: Summary) -> dict[str, Figure]:
    """The figures by the names of their files, without ending."""
    with context(style.STYLE):
        along = {f"along-{name_of(axis).replace('.', '-')}": _draw_along(summary, axis) for axis in summary.numeric}
        figures = {name: figure for name, figure in along.items() if figure is not None}
        if not figures and len(summary.groups) > 1:
            figures["bars"] = _draw_bars(summary)
        return figures | {"by-epoch": _draw_by_epoch(summary)}


def _draw_along(summary: Summary, axis: str) -> Figure | None:
    """A line for each combination of the other axes, a star at its best value; None where no line has two points."""
    lines = list(itertools.islice(find_lines(summary, axis), SHOWN))
    if not lines:
        return None
    others = [name for name in summary.axes if name != axis]
    figure, ((ax,),) = style.subplots(1, 1, (5.6, 3.9))
    for (at, runs), look, (_, *best) in zip(lines, _styles(lines), find_best(summary, axis), strict=False):
        style.draw_curve(ax, runs.pivot_table(index=axis, columns="seed", values="score"), look, _name(at))
        ax.plot(*best, color=look[0], marker="*", markersize=13, linestyle="none", zorder=4)
    floors = {floor for _, runs in lines for floor in runs["majority"]}
    if len(floors) == 1:
        ax.axhline(*floors, **style.MAJORITY)
    values = sorted({x for _, runs in lines for x in runs[axis]})
    if values[0] > 0 and values[-1] >= 8 * values[0]:
        ax.set_xscale("log")
    ax.set_xticks(values, labels=[f"{x:g}" for x in values])
    ax.minorticks_off()
    style.widen(ax)
    ax.set(xlabel=name_of(axis), ylabel="score (%)", title="mean ± standard deviation over seeds; a star: best")
    style.draw_legend(figure, [ax], title=", ".join(map(name_of, others)))
    return figure


def _draw_bars(summary: Summary) -> Figure:
    """A group of bars for each combination of the axes but the prompt, one bar for each prompt."""
    others = [axis for axis in summary.axes if axis != "prompt"] or ["task.name"]
    names = summary.runs[others].map(show).agg(", ".join, axis=1)
    runs = summary.runs[names.isin(names.unique()[:SHOWN])].assign(group=names)
    scores = runs.pivot_table(index=["prompt", "seed"], columns="group", values="score", sort=False)
    methods = tuple(sorted(scores.index.unique("prompt"), key=lambda name: [*style.STYLES, name].index(name)))
    figure, ((ax,),) = style.subplots(1, 1, (max(3.6, min(12.0, 1.2 + 0.45 * len(methods) * len(scores.columns))), 3.6))
    style.draw_bars(ax, scores, runs.groupby("group")["majority"].mean()[scores.columns], methods)
    ax.set(xlabel=", ".join(map(name_of, others)), ylabel="score (%)")
    style.draw_legend(figure, [ax])
    return figure


def _draw_by_epoch(summary: Summary) -> Figure:
    """Score and training loss by epoch, a line for each group."""
    groups = list(itertools.islice(summary.runs.groupby(summary.axes, dropna=False, sort=False), SHOWN))
    figure, (panels,) = style.subplots(1, 2, (8.4, 3.6))
    for (at, runs), look in zip(groups, _styles(groups), strict=True):
        for ax, field in zip(panels, ("score", "loss"), strict=True):
            style.draw_history(ax, runs.set_index("seed"), field, look, _name(at))
    panels[0].set(title="evaluation", xlabel="epoch", ylabel="score (%)")
    panels[1].set(title="training", xlabel="epoch", ylabel="loss", ylim=(0, None))
    style.draw_legend(figure, panels, title=", ".join(map(name_of, summary.axes)))
    return figure


def _name(values: Sequence[object]) -> str:
    return ", ".join(map(show, values)) or "score"


def _styles(lines: Sequence[tuple[Sequence[object], pd.DataFrame]]) -> list[style.LineStyle]:
    """A style for each line. Lines of a method share its colour and differ in their dashes; lines of one and the same
    method have colours that no method has."""
    styles, methods = [], [runs["prompt"].iloc[0] for _, runs in lines]
    for place, method in enumerate(methods):
        before = methods[:place].count(method)
        color, marker, _ = style.style_of(method, sorted(set(methods)))
        if len(set(methods)) == 1 < len(methods):
            color, marker, _ = style.FURTHER_STYLES[before % len(style.FURTHER_STYLES)]
        styles.append((color, marker, DASHES[before % len(DASHES)]))
    return styles
