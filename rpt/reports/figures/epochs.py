"""Figure 3: score and training loss after each epoch, and the length of the prompt's vectors."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from rpt.reports.figures.style import draw_legend, draw_mean, draw_paper, score_label, style_of, widen
from rpt.reports.grid_results import GridResults
from rpt.reports.labels import label
from rpt.reports.paper import Paper


def draw_by_epoch(results: GridResults, paper: Paper) -> tuple[Figure, dict[str, Any]]:
    """A row of panels for each task and backbone: the third, of the prompt's length, where the runs have it."""
    axes = results.experiment.axes
    rows = [(backbone, task) for backbone in results.backbones for task in axes["task"]]
    measured = any("prompt_norm" in line for history in results.runs["history"] for line in history)
    fields = ("score", "loss", "prompt_norm") if measured else ("score", "loss")
    size = (3.6 * len(fields), 2.8 * len(rows) + 0.45)
    figure, grid = plt.subplots(len(rows), len(fields), figsize=size, squeeze=False, layout="constrained")
    configs = results.experiment.jobs.values()
    scored = "held-out rows" if all(job.protocol.selection == "held_out" for job in configs) else "validation rows"
    theirs = False
    for (backbone, task), panels in zip(rows, grid, strict=True):
        family = results.family_of(backbone)
        unit = "nats per decision" if family == "bert" else "nats per answer token"
        titles = {
            "score": (scored, score_label(task, {}, family)), "loss": ("training", f"loss ({unit})"),
            "prompt_norm": ("prompt", "mean L2 norm of its vectors"),
        }  # fmt: skip
        for ax, what in zip(panels, fields, strict=True):
            for prompt in axes["prompt"]:
                runs = results.at({"backbone": backbone, "task": task, "prompt": prompt})
                _draw_history(ax, history_of(runs, what), prompt, axes["prompt"])
                if results.experiment.scale == "paper" and what == "score":
                    curve = paper.curve("figure3", task, prompt)
                    theirs |= draw_paper(ax, *curve, prompt, axes["prompt"], joined=False)
            title, y_label = titles[what]
            ax.set(title=f"{label('task', task)}, {title}", xlabel="epoch", ylabel=y_label)
            ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        widen(panels[0])
        panels[1].set_ylim(bottom=0)
    draw_legend(figure, grid.flat)
    title = "Figure 3. Score, training loss" + " and mean length of the prompt's vectors" * measured + " by epoch"
    return figure, {"title": f"{title}, 10 prompt tokens", "theirs": theirs, "by_epoch": True}


def _draw_history(ax: Axes, history: pd.DataFrame, prompt: str, prompts: tuple[str, ...]) -> None:
    """Mean and spread while every seed trains, so that a seed that stops makes no jump; each seed as a thin line. A
    few markers tell the lines apart in grey."""
    if history.empty:
        return
    color, marker, line = style_of(prompt, prompts)
    ax.plot(history.index, history, color=color, linewidth=0.7, alpha=0.4, zorder=2)
    whole = history.dropna()
    every = max(1, len(whole) // 6)
    draw_mean(ax, whole, color, marker=marker, linestyle=line, markevery=every, label=label("prompt", prompt))


def history_of(runs: pd.DataFrame, what: str) -> pd.DataFrame:
    """A field of the runs' evaluations: a row for each epoch, a column for each seed."""
    by_seed = {
        seed: pd.Series(
            {round(line["epoch"], 3): line[what] for line in history if line.get(what) is not None}, dtype=float
        )
        for seed, history in (runs["history"].items() if len(runs) else ())
    }
    return pd.DataFrame(by_seed).sort_index()
