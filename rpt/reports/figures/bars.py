"""Table 1 as bars: a group for each task, one bar for each prompt."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rpt.reports.figures.style import HIGHEST, MAJORITY, draw_dots, draw_legend, style_of
from rpt.reports.grid_results import GridResults, pick_cell
from rpt.reports.labels import label
from rpt.reports.layouts import METHODS
from rpt.reports.paper import Paper
from rpt.reports.scores import floors, task_scores


def draw_bars(results: GridResults, paper: Paper) -> tuple[Figure, dict[str, Any]]:
    """A panel for each backbone that has a run."""
    scores, majority = task_scores(results, {}), floors(results, {})
    majority["average"] = majority.mean(axis=1, skipna=False)
    backbones = results.backbones
    size = (9.0, 2.9 * len(backbones) + 0.55)
    figure, grid = plt.subplots(len(backbones), 1, figsize=size, squeeze=False, layout="constrained")
    missing = []
    for backbone, ax in zip(backbones, grid[:, 0], strict=True):
        groups = _groups_with_prompts(results, scores, backbone)
        missing += [(backbone, group) for group in majority.columns if group not in groups]
        _draw_panel(ax, results, pick_backbone(scores, backbone)[groups], majority.loc[backbone, groups])
        ax.set(title=label("backbone", backbone), ylabel="score (%)")
    draw_legend(figure, grid.flat, title="method")
    return figure, {
        "title": "Table 1 as bars. Score on each task, 10 prompt tokens",
        "missing": missing,
    }


def pick_backbone(scores: pd.DataFrame, backbone: str) -> pd.DataFrame:
    return scores[scores.index.get_level_values("backbone") == backbone]


def _groups_with_prompts(results: GridResults, scores: pd.DataFrame, backbone: str) -> list[str]:
    """The tasks, and the average, on which a prompt of the backbone has a score; all where no prompt has any."""
    of_backbone = pick_backbone(scores, backbone)
    prompts = of_backbone[~of_backbone.index.get_level_values("prompt").isin(METHODS)]
    return [group for group in scores if prompts[group].notna().any()] or list(scores)


def _draw_panel(ax: Axes, results: GridResults, scores: pd.DataFrame, majority: pd.Series) -> None:
    """Groups of bars with their spreads, each seed as a dot, and the majority class as a line across."""
    methods = [name for name in results.experiment.axes["prompt"] if name in scores.index.get_level_values("prompt")]
    top, width = HIGHEST, 0.8 / len(methods)
    for k, method in enumerate(methods):
        at = pick_cell(scores, {"prompt": method})
        shift = (k - (len(methods) - 1) / 2) * width
        top = max(top, *_draw_method(ax, at, method, methods, shift, width), 0)
    for place, score in enumerate(majority):
        if pd.notna(score):
            ax.hlines(score, place - 0.44, place + 0.44, zorder=5, **MAJORITY)
    if "average" in scores and len(scores.columns) > 1:
        ax.axvline(len(scores.columns) - 1.5, color="#AAAAAA", linewidth=0.8)
    ax.set_xticks(range(len(scores.columns)), labels=[label("task", name) for name in scores], fontsize=9)
    ax.grid(axis="x", visible=False)
    ax.set(xlim=(-0.55, len(scores.columns) - 0.45), ylim=(0, top))


def _draw_method(
    ax: Axes, scores: pd.DataFrame, method: str, methods: list[str], shift: float, width: float
) -> list[float]:
    """The bars of one method, a mark over a bar of one seed; how high its spreads reach.

    Args:
        scores: a row for each seed, a column for each group of bars.
    """
    places = pd.Series(range(len(scores.columns)), scores.columns) + shift
    scores = scores.dropna(axis=1, how="all")
    if scores.empty:
        return []
    xs, means, sds = places[scores.columns], scores.mean(), scores.std().dropna()
    look: dict[str, Any] = {"color": style_of(method, methods)[0], "alpha": 0.75, "edgecolor": "white", "linewidth": 0}
    hatch = ("", "///", "...", "")[methods.index(method) % 4]
    ax.bar(xs, means, width * 0.92, hatch=hatch, label=label("prompt", method), zorder=2, **look)
    ax.errorbar(xs[sds.index], means[sds.index], sds, fmt="none", ecolor="#222222", elinewidth=1.0, capsize=2, zorder=4)
    for group in scores:
        draw_dots(ax, xs[group], scores[group].dropna(), s=8, color="#222222", alpha=0.35, zorder=3)
        if scores[group].count() == 1:
            ax.text(xs[group], means[group] + 1, "1 seed", rotation=90, ha="center", va="bottom", fontsize=7)
    return list(means[sds.index] + sds + 1)
