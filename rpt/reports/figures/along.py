"""Scores along one numeric setting of any folder of records."""

from __future__ import annotations

import itertools

from matplotlib import pyplot as plt

from rpt.reports.figures import image_of
from rpt.reports.figures.style import FURTHER_STYLES, STYLE, STYLES, widen
from rpt.reports.summary import SHOWN, Summary, find_best, name_of, show


def draw_along(summary: Summary, axis: str) -> bytes | None:
    """A line for each combination of the other axes, a star at its best value; None where no line has two points."""
    lines = list(itertools.islice(find_best(summary, axis), SHOWN))
    if not lines:
        return None
    styles = itertools.cycle([*STYLES.values(), *FURTHER_STYLES])
    with plt.style.context(STYLE):
        figure, ax = plt.subplots(figsize=(5.6, 3.6), layout="constrained")
        for (at, line), (color, marker, dashes) in zip(lines, styles, strict=False):
            xs, means = line[axis], line["mean"]
            spread = line["sd"].fillna(0.0)
            name = ", ".join(show(value) for value in at.values()) or "score"
            ax.plot(xs, means, color=color, marker=marker, linestyle=dashes, label=name)
            ax.fill_between(xs, means - spread, means + spread, color=color, alpha=0.15, linewidth=0)
            best = means.idxmax()
            ax.plot([xs[best]], [means[best]], color=color, marker="*", markersize=13, linestyle="none")
        values = sorted({x for _, line in lines for x in line[axis]})
        if values[0] > 0 and values[-1] >= 8 * values[0]:
            ax.set_xscale("log")
        ax.set_xticks(values, labels=[f"{x:g}" for x in values])
        ax.minorticks_off()
        widen(ax)
        ax.set(xlabel=name_of(axis), ylabel="score (%)", title="mean ± standard deviation over seeds; a star: best")
        ax.legend(fontsize=8)
        image = image_of(figure, "png")
        plt.close(figure)
    return image
