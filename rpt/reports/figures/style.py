"""What all figures share: colours, lines, axes of scores, the legend."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rpt.reports.grid_results import GridResults
from rpt.reports.labels import label
from rpt.reports.layouts import Metrics
from rpt.reports.scores import Cell
from rpt.tasks import TASKS, get_task

# Okabe and Ito's colours, which the colour-blind tell apart; markers and lines differ as well, for print in grey.
STYLES = {
    "vanilla": ("#0072B2", "o", "--"),
    "mlp": ("#009E73", "^", "-."),
    "lstm": ("#CC79A7", "D", ":"),
    "residual": ("#D55E00", "s", "-"),
}
FURTHER_STYLES = (("#56B4E9", "v", "--"), ("#E69F00", "P", "-."), ("#000000", "X", ":"))
PAPER_GREY = "#808080"
SETTINGS = {
    "svg.hashsalt": "rpt", "svg.fonttype": "path", "font.family": "DejaVu Sans", "font.size": 9,
    "axes.spines.top": False, "axes.spines.right": False, "axes.titlesize": 10, "axes.labelsize": 9,
    "axes.grid": True, "axes.axisbelow": True, "grid.color": "#E5E5E5", "grid.linewidth": 0.7,
    "xtick.labelsize": 8, "ytick.labelsize": 8, "legend.fontsize": 9, "legend.frameon": False,
    "lines.linewidth": 1.6, "lines.markersize": 5, "figure.dpi": 100, "savefig.dpi": 200,
}  # fmt: skip
STYLE: Any = ["default", SETTINGS]  # beginning with matplotlib's own defaults, not with the user's matplotlibrc
SPREAD = "mean and standard deviation over seeds, a faint dot for each seed"
HIGHEST = 101.9  # of an axis of scores, where no spread needs more


def style_of(prompt: str, prompts: Sequence[str]) -> tuple[str, str, str]:
    """Colour, marker and line."""
    others = [name for name in prompts if name not in STYLES]
    return STYLES[prompt] if prompt in STYLES else FURTHER_STYLES[others.index(prompt) % len(FURTHER_STYLES)]


def draw_curve(ax: Axes, scores: pd.DataFrame, prompt: str, prompts: Sequence[str]) -> None:
    """Mean as a line, mean ± standard deviation as a band, each seed as a dot; points without a run are left out.

    Args:
        scores: a row for each value of the x axis, a column for each seed.
    """
    scores = scores.dropna(how="all")
    if scores.empty:
        return
    color, marker, line = style_of(prompt, prompts)
    cells = [Cell.of(of_seeds) for _, of_seeds in scores.iterrows()]
    ax.plot(
        scores.index,
        [cell.mean for cell in cells],
        color=color,
        marker=marker,
        linestyle=line,
        label=label("prompt", prompt),
        zorder=3,
    )
    low, high = ([cell.mean + way * (cell.sd or 0.0) for cell in cells] for way in (-1, 1))
    ax.fill_between(scores.index, low, high, color=color, alpha=0.15, linewidth=0)
    for x, of_seeds in scores.iterrows():
        draw_dots(ax, x, of_seeds.dropna(), s=7, color=color, alpha=0.4, zorder=2)


def draw_dots(ax: Axes, x: float, scores: pd.Series, **style: Any) -> None:
    ax.scatter([x] * len(scores), list(scores), linewidths=0, **style)


def draw_paper(
    ax: Axes, xs: list[float], ys: list[float], prompt: str, prompts: Sequence[str], joined: bool = True
) -> bool:
    """The paper's curve in grey; whether there is one."""
    _, marker, _ = style_of(prompt, prompts)
    line: dict[str, Any] = {"linestyle": (0, (2, 2)) if joined else "none", "linewidth": 1.0}
    ax.plot(
        xs,
        ys,
        color=PAPER_GREY,
        marker=marker,
        markersize=4,
        markerfacecolor="white",
        zorder=1,
        label="paper (approx.)" if xs else None,
        **line,
    )
    return bool(xs)


def widen(ax: Axes, least: float = 10.0) -> None:
    """Show at least so many points of score, so that noise does not fill the panel; below rather than above 100."""
    low, high = ax.dataLim.intervaly
    if low > high:  # nothing is drawn
        return
    missing = max(0.1 * (high - low), least - (high - low))
    above = min(missing / 2, max(0.03 * least, HIGHEST - high))
    ax.set_ylim(low - missing + above, high + above)


def family_of(results: GridResults, backbone: str) -> str:
    return next(c.backbone.family for c in results.experiment.jobs.values() if c.backbone.name == backbone)


def score_label(task: str, metrics: Metrics, family: str) -> str:
    """With the unit, and what the score is where it is one metric."""
    of = metrics.get(task) or (get_task(task, family).paper_score if task in TASKS else ())
    return f"{label('metric', of[0])} (%)" if len(of) == 1 else "score (%)"


def draw_legend(figure: Figure, ax: Axes) -> None:
    """One legend above all panels."""
    handles, labels = ax.get_legend_handles_labels()
    by_label = dict(zip(reversed(labels), reversed(handles), strict=True))  # the paper's curves share one
    if by_label:
        figure.legend(list(by_label.values())[::-1], list(by_label)[::-1], loc="outside upper center", ncols=5)
