"""Figure 3: score and training loss after each epoch, and the length of the prompt's vectors."""

from __future__ import annotations

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from rpt.reports.figures.style import SPREAD, draw_curve, draw_legend, draw_paper, family_of, score_label, widen
from rpt.reports.grid_results import GridResults
from rpt.reports.labels import label
from rpt.reports.paper import Paper


def draw_by_epoch(results: GridResults, paper: Paper) -> tuple[Figure, str]:
    """A row of panels for each task and backbone: the third, of the prompt's length, where the runs have it."""
    axes = results.experiment.axes
    rows = [(backbone, task) for backbone in axes["backbone"] for task in axes["task"]]
    measured = any("prompt_norm" in line for history in results.runs["history"] for line in history)
    columns = 3 if measured else 2
    size = (3.6 * columns, 2.8 * len(rows) + 0.3)
    figure, grid = plt.subplots(len(rows), columns, figsize=size, squeeze=False, layout="constrained")
    configs = results.experiment.jobs.values()
    rows_scored = "held-out rows" if all(of.protocol.selection == "held_out" for of in configs) else "validation"
    theirs = False
    for (backbone, task), (left, right, *third) in zip(rows, grid, strict=True):
        for prompt in axes["prompt"]:
            runs = results.at({"backbone": backbone, "task": task, "prompt": prompt})
            for ax, what in ((left, "score"), (right, "loss"), *((ax, "prompt_norm") for ax in third)):
                draw_curve(ax, history_of(runs, what), prompt, axes["prompt"])
            if results.experiment.scale == "paper":
                curve = paper.curve("figure3", task, prompt)
                theirs |= draw_paper(left, *curve, prompt, axes["prompt"], joined=False)
        family, name = family_of(results, backbone), label("task", task)
        left.set(title=f"{name}, {rows_scored}", xlabel="epoch", ylabel=score_label(task, {}, family))
        unit = "nats per answer token" if family == "t5" else "nats per decision"
        right.set(title=f"{name}, training", xlabel="epoch", ylabel=f"loss ({unit})")
        right.set_ylim(bottom=0)
        for ax in third:
            ax.set(title=f"{name}, prompt", xlabel="epoch", ylabel="mean L2 norm of its vectors")
        for ax in (left, right, *third):
            ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        widen(left)
    draw_legend(figure, grid[0][0])
    backbones = ", ".join(label("backbone", backbone) for backbone in axes["backbone"])
    length = ", and the mean length of the prompt's vectors" if measured else ""
    caption = f"Figure 3. Score and training loss by epoch{length}, 10 prompt tokens ({backbones}): {SPREAD}"
    if any(of.trainer.patience for of in configs):
        caption += "; a run counts until it stops"
    return figure, f"{caption}; grey: the paper's first and last epoch, approximate." if theirs else f"{caption}."


def history_of(runs: pd.DataFrame, what: str) -> pd.DataFrame:
    """A field of the runs' evaluations: a row for each epoch, a column for each seed."""
    of_seeds = {
        seed: pd.Series(
            {round(line["epoch"], 3): line[what] for line in history if line.get(what) is not None}, dtype=float
        )
        for seed, history in (runs["history"].items() if len(runs) else ())
    }
    return pd.DataFrame(of_seeds).sort_index()
