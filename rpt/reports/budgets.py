"""How long runs train. Captions say it, which rows choose the best epoch, and how a head reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, NamedTuple

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
    """What templates/text/training.j2 says: whose runs train how long, and how heads and learning rates were chosen.

    shares: pairs of names and their budget; the names are tasks where tasks alone decide it, and else rows.
    """
    jobs = results.experiment.jobs.values()
    cosine = dict.fromkeys(label("task", job.task.name) for job in jobs if job.backbone.pooling == "cosine")
    rates = sorted({len(choice.asked) for choice in results.rates})
    return {"shares": _shares(jobs), "cosine": [*cosine], "rates": [str(number) for number in rates]}


def _shares(jobs: Iterable[Config]) -> list[tuple[list[str], Budget]]:
    # What is trained, the backbone and the budget of each kind of run, in the order of the grid; and its tasks.
    kinds: dict[tuple[str, str, Budget], dict[str, None]] = {}
    by_task: dict[str, dict[Budget, None]] = {}
    for job in jobs:
        task, budget = label("task", job.task.name), _budget(job)
        kinds.setdefault((job.variant, job.backbone.name, budget), {})[task] = None
        by_task.setdefault(task, {})[budget] = None
    by_backbone: dict[tuple[str, Budget], dict[str, None]] = {}
    for (_, backbone, budget), tasks in kinds.items():
        by_backbone.setdefault((backbone, budget), {}).update(tasks)
    names: dict[Budget, dict[str, None]] = {}
    if all(len(budgets) == 1 for budgets in by_task.values()):
        for task, (budget,) in by_task.items():
            names.setdefault(budget, {})[task] = None
    elif _is_disjoint(by_backbone):
        for (backbone, budget), tasks in by_backbone.items():
            names.setdefault(budget, {})[f"{label('backbone', backbone)} ({', '.join(tasks)})"] = None
    else:
        for (trained, backbone, budget), tasks in kinds.items():
            others = [(other, b) for what, other, b in kinds if what == trained and (other, b) != (backbone, budget)]
            name = label("prompt", trained)
            if any(other != backbone and b != budget for other, b in others):
                name = f"{label('backbone', backbone)} {name}"
            if any(other == backbone for other, _ in others):
                name += f" ({', '.join(tasks)})"
            names.setdefault(budget, {})[name] = None
    return [([*of_budget], budget) for budget, of_budget in names.items()]


def _is_disjoint(by_backbone: dict[tuple[str, Budget], dict[str, None]]) -> bool:
    """Whether several backbones have each task under one budget alone."""
    cells = Counter((backbone, task) for (backbone, _), tasks in by_backbone.items() for task in tasks)
    return len({backbone for backbone, _ in by_backbone}) > 1 and set(cells.values()) == {1}


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
