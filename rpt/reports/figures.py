"""The paper's figures drawn from run records, as images that come out byte for byte the same."""

from __future__ import annotations

import io
import itertools
import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator

from rpt.reports.cells import Cell, Metrics, average, cell, majority
from rpt.reports.grid_results import GridResults
from rpt.reports.paper import Paper
from rpt.reports.tables import WARNINGS, captioned, file_name, title, training
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
NOTES = {  # below each figure at a scale that is not the paper's
    "mini": "Miniature rows and backbone: not comparable with SuperGLUE",
    "laptop": "SuperGLUE's rows, MiniLM-L6, 200 steps a run",
}
SETTINGS = {
    "svg.hashsalt": "rpt", "svg.fonttype": "path", "font.family": "DejaVu Sans", "font.size": 9,
    "axes.spines.top": False, "axes.spines.right": False, "axes.titlesize": 10, "axes.labelsize": 9,
    "axes.grid": True, "axes.axisbelow": True, "grid.color": "#E5E5E5", "grid.linewidth": 0.7,
    "xtick.labelsize": 8, "ytick.labelsize": 8, "legend.fontsize": 9, "legend.frameon": False,
    "lines.linewidth": 1.6, "lines.markersize": 5, "figure.dpi": 100, "savefig.dpi": 200,
}  # fmt: skip


@dataclass(frozen=True)
class Plot:
    """A figure as files. name: of them, without ending."""

    name: str
    caption: str
    png: bytes
    svg: bytes


@dataclass(frozen=True)
class Curves:
    """A figure of scores along one axis, a panel for each task.

    with_average: a further panel for the average of these tasks. metrics: where it is not the headline score.
    """

    name: str
    axis: str
    x_label: str
    caption: str
    with_average: bool = True
    metrics: Metrics | None = None


CURVES = (
    Curves(
        "figure4", "lr", "learning rate", "Figure 4. Score against the learning rate, 100 prompt tokens",
        metrics={"multirc": ("accuracy",), "cb": ("accuracy",)},
    ),
    Curves("figure5", "data.shots", "training rows per class", "Figure 5. Few-shot training, 100 prompt tokens"),
    Curves("figure6", "prompt.bottleneck", "bottleneck width m",
           "Figure 6. Width of the residual network's bottleneck, 10 prompt tokens", with_average=False),
)  # fmt: skip
SPREAD = "mean and standard deviation over seeds, a faint dot for each seed"
HIGHEST = 101.9  # of an axis of scores, where no spread needs more
FILES = ("table1-bars", "figure3", *(curves.name for curves in CURVES))


def all_figures(study: GridResults, paper: Paper) -> list[Plot]:
    """Every figure that stands on an experiment and has at least one record."""
    drawers: dict[str, tuple[str, Callable]] = {
        "table1": ("table1-bars", _bars),
        "figure3": ("figure3", _by_epoch),
        **{c.name: (c.name, lambda study, paper, c=c: _along_axis(c, study, paper)) for c in CURVES},
    }
    if not study.entries or study.experiment.name not in drawers:
        return []
    name, draw = drawers[study.experiment.name]
    with plt.rc_context(SETTINGS):
        figure, caption = draw(study, paper)
        scale = study.experiment.scale
        if scale in WARNINGS:
            figure.supxlabel(NOTES[scale], fontsize=8, color="#555555")
        plot = Plot(file_name(name, scale), captioned(f"{caption} {training(study)}", scale), *_saved(figure))
        plt.close(figure)
    return [plot]


def _saved(figure: Figure) -> tuple[bytes, bytes]:
    """PNG and SVG without date and program, so that the same numbers give the same bytes."""
    png, svg = io.BytesIO(), io.BytesIO()
    figure.savefig(png, format="png", metadata={"Software": None})
    figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
    return png.getvalue(), svg.getvalue()


def _style(prompt: str, prompts: Sequence[str]) -> tuple[str, str, str]:
    others = [name for name in prompts if name not in STYLES]
    return STYLES[prompt] if prompt in STYLES else FURTHER_STYLES[others.index(prompt) % len(FURTHER_STYLES)]


def _draw_curve(ax: Axes, xs: Sequence[float], cells: Sequence[Cell], prompt: str, prompts: Sequence[str]) -> None:
    """Mean as a line, mean ± standard deviation as a band, each seed as a dot; points without a run are left out."""
    color, marker, line = _style(prompt, prompts)
    there = [(x, one) for x, one in zip(xs, cells, strict=True) if one.n]
    if not there:
        return
    xs, cells = zip(*there, strict=True)
    means, sds = [one.mean for one in cells], [one.sd or 0.0 for one in cells]
    ax.plot(xs, means, color=color, marker=marker, linestyle=line, label=title(prompt), zorder=3)
    low, high = ([m + way * s for m, s in zip(means, sds, strict=True)] for way in (-1, 1))
    ax.fill_between(xs, low, high, color=color, alpha=0.15, linewidth=0)
    for x, one in there:
        ax.scatter([x] * one.n, list(one.by_seed.values()), s=7, color=color, alpha=0.4, linewidths=0, zorder=2)


def _along_axis(curves: Curves, study: GridResults, paper: Paper) -> tuple[Figure, str]:
    axes, metrics = study.experiment.axes, curves.metrics or {}
    tasks, prompts, backbones = axes["task"], axes["prompt"], axes["backbone"]
    panels = (*tasks, "average") if curves.with_average else tasks
    xs = [float(x) for x in axes[curves.axis]]
    figure, grid = plt.subplots(
        len(backbones), len(panels), figsize=(2.45 * len(panels) + 0.3, 2.75 * len(backbones) + 0.45),
        sharex=True, squeeze=False, layout="constrained", gridspec_kw={"wspace": 0.08},
    )  # fmt: skip
    theirs = False
    for row, backbone in zip(grid, backbones, strict=True):
        for ax, panel in zip(row, panels, strict=True):
            for prompt in prompts:
                at = [{"backbone": backbone, "prompt": prompt, curves.axis: x} for x in axes[curves.axis]]
                if panel == "average":
                    cells = [average(study, values, metrics) for values in at]
                else:
                    cells = [cell(study, values | {"task": panel}, metrics) for values in at]
                _draw_curve(ax, xs, cells, prompt, prompts)
                # The paper's average is over tasks that it does not name, so no curve stands beside ours there.
                if study.experiment.scale == "paper" and panel != "average":
                    theirs |= _draw_paper(ax, *paper.curve(curves.name, panel, prompt), prompt, prompts)
            ax.set_xscale("log")
            ax.xaxis.set_major_locator(FixedLocator(xs))
            ax.xaxis.set_minor_locator(NullLocator())
            ax.set_xticks(xs, labels=axes[curves.axis], rotation=45 if _crowded(xs) else 0)
            _widen(ax)
            ax.set_title(title(panel) if panel != "average" else f"average of the {len(tasks)}")
            ax.set_ylabel(_score_label(panel, metrics, _family(study, backbone)))
            ax.set_xlabel(curves.x_label if ax in grid[-1] else "")
    _legend(figure, grid[0][0])
    caption = f"{curves.caption} ({', '.join(map(title, backbones))}): {SPREAD}"
    return figure, f"{caption}; grey: the paper's, read off its plot, approximate." if theirs else f"{caption}."


def _crowded(xs: Sequence[float]) -> bool:
    """Whether neighbours' labels would run into each other on a log axis."""
    places = sorted(map(math.log10, xs))
    gaps = [b - a for a, b in itertools.pairwise(places)]
    return bool(gaps) and min(gaps) < 0.14 * (places[-1] - places[0])


def _widen(ax: Axes, least: float = 10.0) -> None:
    """Show at least so many points of score, so that noise does not fill the panel; below rather than above 100."""
    low, high = ax.dataLim.intervaly
    if low > high:  # nothing is drawn
        return
    missing = max(0.1 * (high - low), least - (high - low))
    above = min(missing / 2, max(0.03 * least, HIGHEST - high))
    ax.set_ylim(low - missing + above, high + above)


def _draw_paper(
    ax: Axes, xs: list[float], ys: list[float], prompt: str, prompts: Sequence[str], joined: bool = True
) -> bool:
    _, marker, _ = _style(prompt, prompts)
    line = {"linestyle": (0, (2, 2)) if joined else "none", "linewidth": 1.0}
    ax.plot(xs, ys, color=PAPER_GREY, marker=marker, markersize=4, markerfacecolor="white", zorder=1,
            label="paper (approx.)" if xs else None, **line)  # fmt: skip
    return bool(xs)


def _family(study: GridResults, backbone: str) -> str:
    return next(c.backbone.family for c in study.experiment.jobs.values() if c.backbone.name == backbone)


def _score_label(task: str, metrics: Metrics, family: str) -> str:
    """With the unit, and what the score is where it is one metric."""
    of = metrics.get(task) or (get_task(task, family).paper_score if task in TASKS else ())
    return f"{title(of[0])} (%)" if len(of) == 1 else "score (%)"


def _legend(figure: Figure, ax: Axes) -> None:
    """One legend above all panels."""
    handles, labels = ax.get_legend_handles_labels()
    by_label = dict(zip(reversed(labels), reversed(handles), strict=True))  # the paper's curves share one
    if by_label:
        figure.legend(list(by_label.values())[::-1], list(by_label)[::-1], loc="outside upper center", ncols=5)


def _by_epoch(study: GridResults, paper: Paper) -> tuple[Figure, str]:
    """Validation score and training loss after each epoch, a row of two panels for each task and backbone."""
    axes = study.experiment.axes
    rows = [(backbone, task) for backbone in axes["backbone"] for task in axes["task"]]
    figure, grid = plt.subplots(len(rows), 2, figsize=(7.2, 2.8 * len(rows) + 0.3), squeeze=False, layout="constrained")
    theirs = False
    for (backbone, task), (left, right) in zip(rows, grid, strict=True):
        for prompt in axes["prompt"]:
            entries = study.at({"backbone": backbone, "task": task, "prompt": prompt})
            for ax, what in ((left, "score"), (right, "loss")):
                by_epoch: dict[float, dict[str, float]] = {}
                for seed, entry in entries.items():
                    for line in entry.history:
                        if line[what] is not None:
                            by_epoch.setdefault(round(line["epoch"], 3), {})[seed] = line[what]
                epochs = sorted(by_epoch)
                asked = len(axes["seed"])
                _draw_curve(ax, epochs, [Cell(by_epoch[e], asked) for e in epochs], prompt, axes["prompt"])
            if study.experiment.scale == "paper":
                theirs |= _draw_paper(
                    left, *paper.curve("figure3", task, prompt), prompt, axes["prompt"], joined=False
                )  # fmt: skip
        family = _family(study, backbone)
        left.set(title=f"{title(task)}, validation", xlabel="epoch", ylabel=_score_label(task, {}, family))
        unit = "nats per answer token" if family == "t5" else "nats per decision"
        right.set(title=f"{title(task)}, training", xlabel="epoch", ylabel=f"loss ({unit})")
        right.set_ylim(bottom=0)
        for ax in (left, right):
            ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        _widen(left)
    _legend(figure, grid[0][0])
    backbones = ", ".join(map(title, axes["backbone"]))
    caption = f"Figure 3. Score and training loss by epoch, 10 prompt tokens ({backbones}): {SPREAD}"
    return figure, f"{caption}; grey: the paper's first and last epoch, approximate." if theirs else f"{caption}."


def _bars(study: GridResults, paper: Paper) -> tuple[Figure, str]:
    """Table 1: a group of bars for each task, one bar for each prompt."""
    axes = study.experiment.axes
    tasks, prompts, recorded = axes["task"], axes["prompt"], {e.result["backbone"] for e in study.entries.values()}
    backbones = [backbone for backbone in axes["backbone"] if backbone in recorded]
    figure, grid = plt.subplots(
        len(backbones), 1, figsize=(9.0, 2.9 * len(backbones) + 0.4), squeeze=False, layout="constrained"
    )
    width = 0.8 / len(prompts)
    for backbone, ax in zip(backbones, grid[:, 0], strict=True):
        tops = [0.0]
        for k, prompt in enumerate(prompts):
            color, _, _ = _style(prompt, prompts)
            values = {"backbone": backbone, "prompt": prompt}
            cells = [cell(study, values | {"task": task}, {}) for task in tasks] + [average(study, values, {})]
            there = [(i + (k - (len(prompts) - 1) / 2) * width, one) for i, one in enumerate(cells) if one.n]
            if not there:
                continue
            xs, means = [x for x, _ in there], [one.mean for _, one in there]
            hatch = ("", "///", "...", "")[k % 4]
            ax.bar(xs, means, width * 0.92, color=color, alpha=0.75, hatch=hatch, edgecolor="white", linewidth=0,
                   label=title(prompt), zorder=2)  # fmt: skip
            spread = [(x, one) for x, one in there if one.sd is not None]
            tops += [one.mean + one.sd + 1 for _, one in spread]
            ax.errorbar([x for x, _ in spread], [one.mean for _, one in spread], [one.sd for _, one in spread],
                        fmt="none", ecolor="#222222", elinewidth=1.0, capsize=2, zorder=4)  # fmt: skip
            for x, one in there:
                ax.scatter([x] * one.n, list(one.by_seed.values()), s=8, color="#222222", alpha=0.35, linewidths=0,
                           zorder=3)  # fmt: skip
        _draw_majority(ax, [majority(study, task, {}, backbone) for task in tasks])
        ax.axvline(len(tasks) - 0.5, color="#AAAAAA", linewidth=0.8)
        ax.set_xticks(range(len(tasks) + 1), labels=[*map(title, tasks), "average"], fontsize=9)
        ax.grid(axis="x", visible=False)
        ax.set(
            title=title(backbone), ylabel="score (%)", xlim=(-0.55, len(tasks) + 0.55), ylim=(0, max(HIGHEST, *tops))
        )
    _legend_of_bars(figure, grid[0][0])
    caption = "Table 1 as bars. Score on each task, 10 prompt tokens"
    return figure, f"{caption} ({', '.join(map(title, backbones))}): {SPREAD}; the line is the majority class."


def _draw_majority(ax: Axes, scores: list[float | None]) -> None:
    known = [score for score in scores if score is not None]
    if len(known) == len(scores):
        scores = [*scores, statistics.fmean(known)]
    first = True
    for i, score in enumerate(scores):
        if score is not None:
            ax.hlines(score, i - 0.44, i + 0.44, color="#000000", linewidth=1.4, linestyles=(0, (3, 1.5)), zorder=5,
                      label="majority class" if first else None)  # fmt: skip
            first = False


def _legend_of_bars(figure: Figure, ax: Axes) -> None:
    handles, labels = ax.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels))
