"""The paper's figures: table 1 as bars, scores by epoch (figure 3) and along an axis of the grid (figures 4 to 6).

Each function gives the figure and what its caption says (templates/text/figure.j2).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from rpt.reports.figures import style
from rpt.reports.grid_results import GridResults
from rpt.reports.labels import label
from rpt.reports.layouts import METHODS, Curves
from rpt.reports.paper import Paper
from rpt.reports.scores import floors, task_scores

Drawn = tuple[Figure, dict[str, object]]
NARROWEST = 5.2  # inches, with room for the legend above a single panel


def draw_bars(results: GridResults, paper: Paper) -> Drawn:
    """A panel for each backbone that has a run: the tasks for which a prompt has a score, and their average."""
    backbones, every = results.backbones, [*results.tasks, *["average"] * (len(results.tasks) > 1)]
    scores, majority, missing = task_scores(results, {})[every], floors(results, {}), dict[str, list[str]]()
    figure, panels = style.subplots(len(backbones), 1, (9.0, 2.9 * len(backbones) + 0.55))
    for backbone, ax in zip(backbones, panels.flat, strict=True):
        rows = scores[scores.index.get_level_values("backbone") == backbone]
        prompts = rows[~rows.index.isin(METHODS, level="prompt")]
        groups = [group for group in every if prompts[group].notna().any()] or every
        if left_out := [group for group in every if group not in groups]:
            missing[backbone] = left_out
        style.draw_bars(ax, rows[groups], majority.loc[backbone, groups], results.experiment.axes["prompt"])
        ax.set(title=label("backbone", backbone), ylabel="score (%)")
    style.draw_legend(figure, panels.flat, title="method")
    return figure, {"title": "Table 1 as bars. Score on each task, 10 prompt tokens", "missing": missing}


def draw_by_epoch(results: GridResults, paper: Paper) -> Drawn:
    """Score, training loss and, where runs have it, the length of the prompt's vectors: a row of panels for each task
    and backbone."""
    prompts, rows = results.experiment.axes["prompt"], [*itertools.product(results.backbones, results.tasks)]
    measured = any("prompt_norm" in line for history in results.runs["history"] for line in history)
    held_out = all(config.protocol.selection == "held_out" for config in results.configs)
    fields = ("score", "loss", "prompt_norm") if measured else ("score", "loss")
    figure, grid = style.subplots(len(rows), len(fields), (3.6 * len(fields), 2.8 * len(rows) + 0.45))
    theirs, unmeasured = False, dict[str, None]()
    for (backbone, task), panels in zip(rows, grid, strict=True):
        family = results.family_of(backbone)
        titles = {
            "score": ("held-out rows" if held_out else "validation rows", style.score_label(task, {}, family)),
            "loss": ("training", f"loss (nats per {'decision' if family == 'bert' else 'answer token'})"),
            "prompt_norm": ("prompt", "mean L2 norm of its vectors"),
        }
        for (field, ax), prompt in itertools.product(zip(fields, panels, strict=True), prompts):
            runs = results.at({"backbone": backbone, "task": task, "prompt": prompt})
            look = style.style_of(prompt, prompts)
            if not style.draw_history(ax, runs, field, look, label("prompt", prompt)) and len(runs):
                unmeasured[prompt] = None
            if results.scale == "paper" and field == "score":
                theirs |= style.draw_paper(ax, *paper.curve("figure3", task, prompt), look, joined=False)
        for field, ax in zip(fields, panels, strict=True):
            title, y_label = titles[field]
            ax.set(title=f"{label('task', task)}, {title}", xlabel="epoch", ylabel=y_label)
            ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        style.widen(panels[0])
        panels[1].set_ylim(bottom=0)
    style.draw_legend(figure, grid.flat)
    title = "Figure 3. Score, training loss" + " and mean length of the prompt's vectors" * measured + " by epoch"
    facts = {"theirs": theirs, "by_epoch": True, "unmeasured": [*unmeasured]}
    return figure, {"title": f"{title}, 10 prompt tokens", **facts}


def draw_along_axis(curves: Curves, results: GridResults, paper: Paper) -> Drawn:
    """A row of panels for each backbone with a run: one for each task, and the average of several."""
    axes, tasks, backbones = results.experiment.axes, results.tasks, results.backbones
    xs = [float(x) for x in axes[curves.axis]]
    panels = (*tasks, "average") if curves.with_average and len(tasks) > 1 else tasks
    majority, scores = floors(results, curves.metrics), task_scores(results, curves.metrics)
    by_point = scores.groupby(level=["backbone", "prompt", curves.axis, "seed"]).first().unstack("seed")
    size = (max(2.45 * len(panels) + 0.3, NARROWEST), 2.75 * len(backbones) + 0.6)
    figure, grid = style.subplots(len(backbones), len(panels), size, sharex=True, gridspec_kw={"wspace": 0.08})
    theirs = False
    for (row, backbone), (column, panel) in itertools.product(enumerate(backbones), enumerate(panels)):
        ax = grid[row, column]
        recorded = by_point.loc[backbone].index.unique("prompt")
        for prompt in (prompt for prompt in axes["prompt"] if prompt in recorded):
            look, line = style.style_of(prompt, axes["prompt"]), by_point.loc[(backbone, prompt)][panel]
            style.draw_curve(ax, line.set_axis(line.index.astype(float)).sort_index(), look, label("prompt", prompt))
            # The paper's average is over tasks that it does not name, so no curve stands beside ours there.
            if results.scale == "paper" and panel != "average":
                theirs |= style.draw_paper(ax, *paper.curve(curves.name, panel, prompt), look)
        if curves.with_majority and pd.notna(majority.at[backbone, panel]):
            name = "best constant answer" if curves.axis == "data.shots" else style.MAJORITY["label"]  # see floors
            ax.axhline(majority.at[backbone, panel], **style.MAJORITY | {"label": name})
        ax.set_xscale("log")
        ax.set_xticks(xs, labels=axes[curves.axis], rotation=45 if _are_crowded(xs) else 0)
        ax.minorticks_off()
        style.widen(ax)
        title = label("task", panel) if panel != "average" else f"average of {len(tasks)} tasks"
        ax.set_title(f"{label('backbone', backbone)}\n{title}" if len(backbones) > 1 else title)
        ax.set_ylabel(style.score_label(panel, curves.metrics, results.family_of(backbone)))
        ax.set_xlabel(label("axis", curves.axis) if row == len(backbones) - 1 else "")
    style.draw_legend(figure, grid.flat)
    return figure, {"title": curves.title.format(tokens=" or ".join(axes["prompt.length"])), "theirs": theirs}


def _are_crowded(xs: Sequence[float]) -> bool:
    """Whether neighbours' labels would run into each other on a log axis."""
    gaps = np.diff(np.log10(sorted(xs)))
    return len(gaps) > 0 and bool(gaps.min() < 0.14 * gaps.sum())
