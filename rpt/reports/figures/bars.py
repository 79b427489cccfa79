"""Table 1 as bars: a group for each task, one bar for each prompt."""

from __future__ import annotations

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rpt.reports.figures.style import HIGHEST, SPREAD, draw_dots, style_of
from rpt.reports.grid_results import GridResults, pick_cell
from rpt.reports.labels import label
from rpt.reports.paper import Paper
from rpt.reports.scores import floors, task_scores


def draw_bars(results: GridResults, paper: Paper) -> tuple[Figure, str]:
    """A panel for each backbone that has a run."""
    axes, scores = results.experiment.axes, task_scores(results, {})
    tasks, prompts, majority = axes["task"], axes["prompt"], floors(results, {})
    backbones = [backbone for backbone in axes["backbone"] if backbone in set(results.runs["backbone"])]
    figure, grid = plt.subplots(
        len(backbones), 1, figsize=(9.0, 2.9 * len(backbones) + 0.4), squeeze=False, layout="constrained"
    )
    for backbone, ax in zip(backbones, grid[:, 0], strict=True):
        tops = [HIGHEST]
        for k, prompt in enumerate(prompts):
            tops += _draw_prompt(ax, pick_cell(scores, {"backbone": backbone, "prompt": prompt}), k, prompts)
        _draw_majority(ax, majority.loc[backbone])
        ax.axvline(len(tasks) - 0.5, color="#AAAAAA", linewidth=0.8)
        names = [label("task", task) for task in tasks]
        ax.set_xticks(range(len(tasks) + 1), labels=[*names, "average"], fontsize=9)
        ax.grid(axis="x", visible=False)
        ax.set(
            title=label("backbone", backbone), ylabel="score (%)", xlim=(-0.55, len(tasks) + 0.55), ylim=(0, max(tops))
        )
    handles, labels = grid[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels))
    shown = ", ".join(label("backbone", backbone) for backbone in backbones)
    caption = "Table 1 as bars. Score on each task, 10 prompt tokens"
    return figure, f"{caption} ({shown}): {SPREAD}; the line is the majority class."


def _draw_prompt(ax: Axes, scores: pd.DataFrame, k: int, prompts: tuple[str, ...]) -> list[float]:
    """The bars of the k-th prompt; how high its spreads reach.

    Args:
        scores: a row for each seed, a column for each group of bars.
    """
    width = 0.8 / len(prompts)
    places = pd.Series([i + (k - (len(prompts) - 1) / 2) * width for i in range(len(scores.columns))], scores.columns)
    scores = scores.dropna(axis=1, how="all")
    if scores.empty:
        return []
    xs, means, sds = places[scores.columns], scores.mean(), scores.std().dropna()
    color, _, _ = style_of(prompts[k], prompts)
    hatch = ("", "///", "...", "")[k % 4]
    ax.bar(
        xs,
        means,
        width * 0.92,
        color=color,
        alpha=0.75,
        hatch=hatch,
        edgecolor="white",
        linewidth=0,
        label=label("prompt", prompts[k]),
        zorder=2,
    )
    ax.errorbar(xs[sds.index], means[sds.index], sds, fmt="none", ecolor="#222222", elinewidth=1.0, capsize=2, zorder=4)
    for column in scores:
        draw_dots(ax, xs[column], scores[column].dropna(), s=8, color="#222222", alpha=0.35, zorder=3)
    return list(means[sds.index] + sds + 1)


def _draw_majority(ax: Axes, scores: pd.Series) -> None:
    """A line across each group of bars; across their average where every task has one."""
    if scores.notna().all():
        scores = pd.Series([*scores, scores.mean()])
    name: str | None = "majority class"
    for i, score in enumerate(scores):
        if pd.notna(score):
            ax.hlines(
                score,
                i - 0.44,
                i + 0.44,
                color="#000000",
                linewidth=1.4,
                linestyles=(0, (3, 1.5)),
                zorder=5,
                label=name,
            )
            name = None
