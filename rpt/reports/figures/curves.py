"""Figures 4 to 6. They draw scores along one axis of the grid."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from rpt.reports.figures.style import (
    MAJORITY,
    draw_curve,
    draw_legend,
    draw_paper,
    score_label,
    style_of,
    subplots,
    widen,
)
from rpt.reports.grid_results import GridResults, pick_cell
from rpt.reports.labels import label
from rpt.reports.layouts import Curves
from rpt.reports.paper import Paper
from rpt.reports.scores import floors, task_scores

NARROWEST = 5.2  # inches, with room for the legend above a single panel


def draw_along_axis(curves: Curves, results: GridResults, paper: Paper) -> tuple[Figure, dict[str, Any]]:
    """A row of panels for each backbone with a run: one for each task, and the average of several."""
    axes, scores = results.experiment.axes, task_scores(results, curves.metrics)
    tasks, backbones, xs = axes["task"], results.backbones, [float(x) for x in axes[curves.axis]]
    panels = (*tasks, "average") if curves.with_average and len(tasks) > 1 else tasks
    majority = floors(results, curves.metrics)
    majority["average"] = majority.mean(axis=1, skipna=False)
    size = (max(2.45 * len(panels) + 0.3, NARROWEST), 2.75 * len(backbones) + 0.6)
    figure, grid = subplots(
        len(backbones), len(panels), size, sharex=True, squeeze=False,
        gridspec_kw={"wspace": 0.08},
    )  # fmt: skip
    theirs = False
    for row, backbone in zip(grid, backbones, strict=True):
        for ax, panel in zip(row, panels, strict=True):
            for prompt in axes["prompt"]:
                at = [{"backbone": backbone, "prompt": prompt, curves.axis: x} for x in axes[curves.axis]]
                lines = {x: pick_cell(scores, values)[panel] for x, values in zip(xs, at, strict=True)}
                draw_curve(ax, pd.DataFrame(lines).T, style_of(prompt, axes["prompt"]), label("prompt", prompt))
                # The paper's average is over tasks that it does not name, so no curve stands beside ours there.
                if results.experiment.scale == "paper" and panel != "average":
                    theirs |= draw_paper(ax, *paper.curve(curves.name, panel, prompt), prompt, axes["prompt"])
            if curves.with_majority and pd.notna(majority.at[backbone, panel]):
                name = "best constant answer" if curves.axis == "data.shots" else MAJORITY["label"]  # see floors
                ax.axhline(majority.at[backbone, panel], **MAJORITY | {"label": name})
            _mark_values(ax, xs, axes[curves.axis])
            widen(ax)
            title = label("task", panel) if panel != "average" else f"average of {len(tasks)} tasks"
            ax.set_title(f"{label('backbone', backbone)}\n{title}" if len(backbones) > 1 else title)
            ax.set_ylabel(score_label(panel, curves.metrics, results.family_of(backbone)))
            ax.set_xlabel(curves.x_label if ax in grid[-1] else "")
    draw_legend(figure, grid.flat)
    title = curves.title.format(tokens=" or ".join(axes["prompt.length"]))
    return figure, {"title": title, "theirs": theirs}


def _mark_values(ax: Axes, xs: Sequence[float], names: Sequence[str]) -> None:
    """A log axis with a tick at each value of the grid."""
    ax.set_xscale("log")
    ax.xaxis.set_major_locator(FixedLocator(xs))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xticks(xs, labels=names, rotation=45 if _crowded(xs) else 0)


def _crowded(xs: Sequence[float]) -> bool:
    """Whether neighbours' labels would run into each other on a log axis."""
    places = sorted(map(math.log10, xs))
    gaps = [b - a for a, b in itertools.pairwise(places)]
    return bool(gaps) and min(gaps) < 0.14 * (places[-1] - places[0])
