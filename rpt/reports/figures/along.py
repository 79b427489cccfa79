"""Scores along one setting."""

from __future__ import annotations

import itertools
from collections import Counter

from matplotlib import pyplot as plt

from rpt.reports import figures
from rpt.reports.figures.style import FURTHER_STYLES, STYLE, draw_legend, style_of, widen
from rpt.reports.summary import SHOWN, Summary, find_best, name_of, show

DASHES = ("-", "--", "-.", ":")


def draw_along(summary: Summary, axis: str) -> bytes | None:
    """A line for each combination of the other axes, a star at its best value; None where no line has two points."""
    lines = list(itertools.islice(find_best(summary, axis), SHOWN))
    if not lines:
        return None
    others = [name for name in summary.axes if name != axis]
    methods, drawn = sorted(set(summary.runs["prompt"])), Counter[str]()
    with plt.style.context(STYLE):
        figure, ax = plt.subplots(figsize=(5.6, 3.9), layout="constrained")
        for at, line in lines:
            method = at.get("prompt", methods[0] if len(methods) == len(lines) == 1 else "")
            place = drawn.update([method]) or drawn[method] - 1  # how many lines of this method are there already
            further = FURTHER_STYLES[place % len(FURTHER_STYLES)]
            color, marker, _ = style_of(method, methods) if method else further
            xs, means, spread = line[axis], line["mean"], line["sd"].fillna(0.0)
            name = ", ".join(show(value) for value in at.values()) or "score"
            ax.plot(xs, means, color=color, marker=marker, linestyle=DASHES[place % len(DASHES)], label=name)
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
        draw_legend(figure, [ax], title=", ".join(map(name_of, others)))
        image = figures.image_of(figure, "png")
        plt.close(figure)
    return image
