"""Table 1 as bars. There is a group for each task and one bar for each prompt or other method."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rpt.reports.figures.style import HATCHES, HIGHEST, MAJORITY, draw_dots, draw_legend, style_of, subplots
from rpt.reports.grid_results import GridResults
from rpt.reports.labels import label
from rpt.reports.layouts import METHODS
from rpt.reports.paper import Paper
from rpt.reports.scores import floors, task_scores


def draw_bars(results: GridResults, paper: Paper) -> tuple[Figure, dict[str, Any]]:
    """A panel for each backbone that has a run, with the tasks, and the average of several, that a prompt has."""
    backbones, tasks = results.backbones, results.experiment.axes["task"]
    every = [*tasks, *["average"] * (len(tasks) > 1)]
    scores, majority, missing = task_scores(results, {})[every], floors(results, {}), []
    majority["average"] = majority.mean(axis=1, skipna=False)
    size = (9.0, 2.9 * len(backbones) + 0.55)
    figure, grid = subplots(len(backbones), 1, size, squeeze=False)
    for backbone, ax in zip(backbones, grid[:, 0], strict=True):
        rows = scores[scores.index.get_level_values("backbone") == backbone]
        prompts = rows[~rows.index.get_level_values("prompt").isin(METHODS)]
        groups = [group for group in every if prompts[group].notna().any()] or every
        missing += [(backbone, group) for group in every if group not in groups]
        draw_panel(ax, rows[groups], majority.loc[backbone, groups], results.experiment.axes["prompt"])
        ax.set(title=label("backbone", backbone), ylabel="score (%)")
    draw_legend(figure, grid.flat, title="method")
    return figure, {"title": "Table 1 as bars. Score on each task, 10 prompt tokens", "missing": missing}


def draw_panel(ax: Axes, scores: pd.DataFrame, majority: pd.Series, methods: tuple[str, ...]) -> None:
    """Groups of bars with their spreads, each seed as a dot, and the majority class as a line across.

    Args:
        scores: a row for each method and seed, a column for each group of bars.
    """
    by_method = scores.groupby(level="prompt")
    drawn = [method for method in methods if method in by_method.groups]
    width, top, groups = 0.8 / len(drawn), HIGHEST, range(len(scores.columns))
    for k, method in enumerate(drawn):
        shift = (k - (len(drawn) - 1) / 2) * width
        color = style_of(method, methods)[0]
        look: dict[str, Any] = {"color": color, "hatch": HATCHES.get(method, ""), "alpha": 0.75}
        xs, means, sds = [place + shift for place in groups], by_method.mean().loc[method], by_method.std().loc[method]
        ax.bar(xs, means, width * 0.92, label=label("prompt", method), edgecolor="white", linewidth=0, zorder=2, **look)
        ax.errorbar(xs, means, sds, fmt="none", ecolor="#222222", elinewidth=1.0, capsize=2, zorder=4)
        top = max(top, (means + sds).max() + 1)
        for x, group in zip(xs, scores, strict=True):
            by_seed = by_method.get_group(method)[group].dropna()
            draw_dots(ax, x, by_seed, s=8, color="#222222", alpha=0.35, zorder=3)
            if len(by_seed) == 1:
                ax.text(x, by_seed.iloc[0] + 1, "1 seed", rotation=90, ha="center", va="bottom", fontsize=7)
    for place, score in zip(groups, majority, strict=True):
        if pd.notna(score):
            ax.hlines(score, place - 0.44, place + 0.44, zorder=5, **MAJORITY)
    if "average" in scores:
        ax.axvline(len(groups) - 1.5, color="#AAAAAA", linewidth=0.8)
    ax.set_xticks(groups, labels=[label("task", name) for name in scores], fontsize=9)
    ax.grid(axis="x", visible=False)
    ax.set(xlim=(-0.55, len(groups) - 0.45), ylim=(0, top))
