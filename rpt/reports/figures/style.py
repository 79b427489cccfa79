"""Colours, lines, axes, legend."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rpt.reports.labels import label
from rpt.reports.layouts import Metrics
from rpt.reports.scores import metrics_of

# Colour, marker and line of each method, the same in every figure. The first seven are Okabe and Ito's colours, which
# the colour-blind tell apart; markers and lines differ as well, for print in grey.
STYLES = {
    "vanilla": ("#0072B2", "o", "--"), "residual": ("#D55E00", "s", "-"), "mlp": ("#009E73", "^", "-."),
    "lstm": ("#CC79A7", "D", ":"), "probe": ("#E69F00", "P", "-."), "ptuning": ("#56B4E9", "v", "--"),
    "hadamard": ("#000000", "X", ":"), "finetune": ("#5B3A8C", "*", "-"), "adapter": ("#8C564B", "<", "--"),
    "bitfit": ("#7F9C2B", ">", "-."), "lora": ("#17807E", "h", ":"), "ia3": ("#A6761D", "p", "-"),
    "decomposed": ("#B03A5B", "d", "--"), "superposition": ("#4D4D4D", "H", "-."), "lowrank": ("#2E4057", "8", ":"),
}  # fmt: skip
FURTHER_STYLES = (("#666666", "v", "--"), ("#B8860B", "P", "-."), ("#556B2F", "X", ":"))  # of user-defined methods
STYLE = ["default", str(Path(__file__).with_name("figures.mplstyle"))]  # not on top of the user's matplotlibrc
MAJORITY: dict[str, Any] = {"color": "#000000", "linewidth": 1.2, "linestyle": (0, (3, 1.5)), "label": "majority class"}
HATCHES = {"mlp": "///", "lstm": "...", "probe": "///"}  # of bars, for print in grey
LineStyle = tuple[str, str, str]  # colour, marker, dashes
HIGHEST = 101.9  # upper end of an axis of scores, unless a spread needs more


def subplots(rows: int, columns: int, size: tuple[float, float], **grid: Any) -> tuple[Figure, Any]:
    """A figure with rows of panels. It is not pyplot's, which keeps every figure until it is closed."""
    figure = Figure(figsize=size, layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False, **grid)


def style_of(method: str, methods: Sequence[str]) -> LineStyle:
    """Colour, marker and line of one of these methods."""
    others = [name for name in methods if name not in STYLES]
    return STYLES[method] if method in STYLES else FURTHER_STYLES[others.index(method) % len(FURTHER_STYLES)]


def draw_curve(ax: Axes, scores: pd.DataFrame, style: LineStyle, name: str) -> None:
    """Draw the mean as a line, its standard deviation as a band, each seed as a dot; leave out points without runs.

    Args:
        scores: a row for each value of the x axis, a column for each seed.
    """
    scores = scores.dropna(how="all")
    if scores.empty:
        return
    color, marker, dashes = style
    draw_mean(ax, scores, color, marker=marker, linestyle=dashes, label=name)
    for _, by_x in scores.items():
        ax.scatter(by_x.index, by_x, s=7, color=color, alpha=0.4, linewidths=0, zorder=2)


def draw_mean(ax: Axes, scores: pd.DataFrame, color: str, **line: Any) -> None:
    """Draw the mean as a line and its standard deviation as a band."""
    mean, spread = scores.mean(axis=1), scores.std(axis=1).fillna(0.0)
    ax.plot(mean.index, mean, color=color, zorder=3, **line)
    ax.fill_between(mean.index, mean - spread, mean + spread, color=color, alpha=0.15, linewidth=0)


def draw_bars(ax: Axes, scores: pd.DataFrame, majority: pd.Series, methods: Sequence[str]) -> None:
    """Draw groups of bars with their spreads, each seed as a dot, and the majority class as a line across.

    Args:
        scores: a row for each method and seed, a column for each group of bars.
    """
    by_method = scores.groupby(level="prompt")
    drawn = [method for method in methods if method in by_method.groups]
    width, top, groups = 0.8 / len(drawn), HIGHEST, range(len(scores.columns))
    for k, method in enumerate(drawn):
        look: dict[str, Any] = {"color": style_of(method, methods)[0], "hatch": HATCHES.get(method, ""), "alpha": 0.75}
        xs = [place + (k - (len(drawn) - 1) / 2) * width for place in groups]
        means, sds = by_method.mean().loc[method], by_method.std().loc[method]
        ax.bar(xs, means, width * 0.92, label=label("prompt", method), edgecolor="white", linewidth=0, zorder=2, **look)
        ax.errorbar(xs, means, sds, fmt="none", ecolor="#222222", elinewidth=1.0, capsize=2, zorder=4)
        top = max(top, (means + sds).max() + 1)
        for x, group in zip(xs, scores, strict=True):
            by_seed = by_method.get_group(method)[group].dropna()
            ax.scatter([x] * len(by_seed), by_seed, s=8, color="#222222", alpha=0.35, linewidths=0, zorder=3)
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


def draw_history(ax: Axes, runs: pd.DataFrame, what: str, style: LineStyle, name: str) -> bool:
    """Draw a field of the runs' evaluations by epoch; returns whether one has it. Each seed is a thin line; mean and
    spread end when the first seed stops, for later means would jump. A few markers tell the lines apart in grey.

    Args:
        runs: with "history", indexed by seed.
    """
    lines = [
        (round(line["epoch"], 3), seed, line.get(what)) for seed, lines in runs["history"].items() for line in lines
    ]
    measured = pd.DataFrame(lines, columns=["epoch", "seed", what]).dropna().astype({what: float})
    if measured.empty:
        return False
    history = measured.pivot_table(index="epoch", columns="seed", values=what, aggfunc="last")
    color, marker, dashes = style
    ax.plot(history.index, history, color=color, linewidth=0.7, alpha=0.4, zorder=2)
    whole = history.dropna()
    every = max(1, len(whole) // 6)
    draw_mean(ax, whole, color, marker=marker, linestyle=dashes, markevery=every, label=name)
    return True


def draw_paper(ax: Axes, xs: list[float], ys: list[float], look: LineStyle, joined: bool = True) -> bool:
    """Draw the paper's curve in grey; returns whether there is one."""
    ax.plot(
        xs, ys, linestyle=(0, (2, 2)) if joined else "none", linewidth=1.0, color="#808080", marker=look[1],
        markersize=4, markerfacecolor="white", zorder=1, label="paper (approx.)" if xs else None,
    )  # fmt: skip
    return bool(xs)


def widen(ax: Axes, least: float = 10.0) -> None:
    """Show a range of at least this many points, so that noise does not fill the panel, and little above 100."""
    low, high = ax.dataLim.intervaly
    if low > high:  # nothing is drawn
        return
    missing = max(0.1 * (high - low), least - (high - low))
    above = min(missing / 2, max(0.03 * least, HIGHEST - high))
    ax.set_ylim(low - missing + above, high + above)


def score_label(task: str, metrics: Metrics, family: str) -> str:
    """The label of an axis of scores: the metric, if it is a single one."""
    names = ("score",) if task == "average" else metrics_of(task, metrics, family)
    return f"{label('metric', names[0])} (%)" if len(names) == 1 else "score (%)"


def draw_legend(figure: Figure, axes: Iterable[Axes], title: str = "prompt") -> None:
    """Draw one legend above all panels, with each name once; the title names the setting."""
    by_label: dict[str, Artist] = {}
    for ax in axes:
        for handle, name in zip(*ax.get_legend_handles_labels(), strict=True):
            by_label.setdefault(name, handle)
    if by_label:
        widths, room = [0.5 + 0.065 * len(name) for name in by_label], figure.get_figwidth()  # about, in inches
        columns = min(len(by_label), 7 if sum(widths) <= room else max(1, int(room / max(widths))))
        handles, names = list(by_label.values()), list(by_label)
        figure.legend(handles, names, loc="outside upper center", ncols=columns, title=title)
