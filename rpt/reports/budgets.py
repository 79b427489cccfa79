"""Training budgets: how captions state them, with pooling and the rows that choose the best epoch."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd

from rpt.config import Config
from rpt.reports.grid_results import GridResults
from rpt.reports.labels import label


class Budget(NamedTuple):
    """The longest a run may train. `patience` evaluations without a better score, one every `every` epochs, end it
    earlier."""

    epochs: int
    max_steps: int | None
    patience: int | None
    every: int
    held_out: bool


def _budget(config: Config) -> Budget:
    trainer, held_out = config.trainer, config.protocol.selection == "held_out"
    return Budget(trainer.epochs, trainer.max_steps, trainer.patience, trainer.eval_every, held_out)


def training(results: GridResults) -> dict[str, object]:
    """The facts that templates/text/training.j2 writes; shares: pairs of names and their budget."""
    cosine = dict.fromkeys(label("task", job.task.name) for job in results.configs if job.backbone.pooling == "cosine")
    counts = set[int]()
    if results.rates is not None:
        counts = set(results.rates.groupby([key for key in results.experiment.axes if key != "seed"])["lr"].count())
    return {"shares": _shares(results), "cosine": [*cosine], "rates": [*map(str, sorted(counts))]}


def _shares(results: GridResults) -> list[tuple[list[str], Budget]]:
    """Each budget with the names of its runs: tasks if they alone decide the budget, else backbones, methods or both,
    each with its tasks if it has several budgets."""
    rows = [
        (label("task", job.task.name), label("backbone", job.backbone.name), label("prompt", job.variant), _budget(job))
        for job in results.configs
    ]
    jobs = pd.DataFrame(rows, columns=["task", "backbone", "prompt", "budget"])
    for keys in ([], ["backbone"], ["prompt"], ["backbone", "prompt"]):
        if jobs.groupby([*keys, "task"])["budget"].nunique().max() == 1:
            break
    names: dict[Budget, dict[str, None]] = {}
    for values, runs in jobs.groupby(keys, sort=False) if keys else [((), jobs)]:
        name = " ".join(values)
        for budget, share in runs.groupby("budget", sort=False):
            tasks = [*dict.fromkeys(share["task"])]
            several = f"{name} ({', '.join(tasks)})" if runs["budget"].nunique() > 1 else name
            names.setdefault(budget, {}).update(dict.fromkeys([several] if keys else tasks))
    return [([*of_budget], budget) for budget, of_budget in names.items()]


def selection(grids: list[GridResults]) -> list[tuple[list[str], float | None]]:
    """The rows that choose the best epoch, most frequent first: names of experiments, and the share of the training
    rows that is held out, or None for the reported rows."""
    kinds: dict[float | None, list[str]] = {}
    for results in grids:
        for config in results.configs:
            share = config.protocol.held_out if config.protocol.selection == "held_out" else None
            kinds.setdefault(share, []).append(results.experiment.name)
    ordered = sorted(kinds.items(), key=lambda item: -len(item[1]))
    return [([*dict.fromkeys(names)], share) for share, names in ordered]
