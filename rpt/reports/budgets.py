"""How long runs train. Captions say it, which rows choose the best epoch, and how a head reads."""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

import pandas as pd

from rpt.config import Config
from rpt.reports.grid_results import GridResults
from rpt.reports.labels import label


class Budget(NamedTuple):
    """How long a run trains at most, and what ends it earlier: so many evaluations (patience) without a better score,
    one every so many epochs."""

    epochs: int
    max_steps: int | None
    patience: int | None
    every: int
    held_out: bool


def _budget(config: Config) -> Budget:
    trainer, held_out = config.trainer, config.protocol.selection == "held_out"
    return Budget(trainer.epochs, trainer.max_steps, trainer.patience, trainer.eval_every, held_out)


def training(results: GridResults) -> dict[str, Any]:
    """What templates/text/training.j2 says: which runs train how long, and how heads and learning rates were chosen.

    shares: pairs of names and their budget.
    """
    jobs = results.experiment.jobs.values()
    cosine = dict.fromkeys(label("task", job.task.name) for job in jobs if job.backbone.pooling == "cosine")
    rates = sorted({len(choice.asked) for choice in results.rates})
    return {"shares": _shares(results), "cosine": [*cosine], "rates": [str(number) for number in rates]}


def _shares(results: GridResults) -> list[tuple[list[str], Budget]]:
    """The budgets, each with the names of its runs: tasks alone where they decide it, else backbones or methods, or
    both, with their tasks where one has several budgets."""
    jobs = pd.DataFrame(
        [
            {
                "task": label("task", job.task.name), "backbone": label("backbone", job.backbone.name),
                "method": label("prompt", job.variant), "budget": _budget(job),
            }
            for job in results.experiment.jobs.values()
        ]
    )  # fmt: skip
    for keys in ([], ["backbone"], ["method"], ["backbone", "method"]):
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
    """Which experiments choose the best epoch on which rows: the share of the training rows that is held out, None for
    the reported rows. The most frequent kind comes first."""
    kinds: dict[float | None, Counter[str]] = {}
    for results in grids:
        for config in results.experiment.jobs.values():
            share = config.protocol.held_out if config.protocol.selection == "held_out" else None
            kinds.setdefault(share, Counter())[results.experiment.name] += 1
    ordered = sorted(kinds.items(), key=lambda item: -len(item[1]))
    return [([*names], share) for share, names in ordered]
