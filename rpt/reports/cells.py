"""The numbers in tables and figures: scores of one setting over its seeds. Per cent throughout."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rpt.reports.grid_results import GridResults

Metrics = Mapping[str, tuple[str, ...]]  # by task, the metrics whose mean is shown; a task that is not there: "score"


@dataclass(frozen=True)
class Cell:
    """One number per seed that has it, and how many seeds were asked for."""

    by_seed: dict[str, float]
    asked: int

    @property
    def n(self) -> int:
        return len(self.by_seed)

    @property
    def mean(self) -> float | None:
        """None without any seed."""
        return statistics.fmean(self.by_seed.values()) if self.by_seed else None

    @property
    def sd(self) -> float | None:
        """Sample standard deviation (n - 1); None with fewer than two seeds."""
        return statistics.stdev(self.by_seed.values()) if self.n > 1 else None


def cell(study: GridResults, values: dict[str, str], metrics: Metrics) -> Cell:
    """The runs at these values of the axes. `values` names the task; a record without the metric does not count."""
    wanted = metrics.get(values["task"], ("score",))
    entries = study.at(values)
    scores = {seed: _mean_of(entry.result["scores"], wanted) for seed, entry in entries.items()}
    return Cell(
        {seed: score for seed, score in scores.items() if score is not None}, len(study.experiment.axes["seed"])
    )


def combined(cells: Sequence[Cell], how: Any = statistics.fmean) -> Cell:
    """What `how` makes of the cells seed by seed (their mean by default), for the seeds that all of them have."""
    seeds = [seed for seed in cells[0].by_seed if all(seed in one.by_seed for one in cells)]
    return Cell({seed: how([one.by_seed[seed] for one in cells]) for seed in seeds}, cells[0].asked)


def average(study: GridResults, values: dict[str, str], metrics: Metrics) -> Cell:
    """The mean over the tasks of the grid, for the seeds that have a run of every task."""
    return combined([cell(study, values | {"task": task}, metrics) for task in study.experiment.axes["task"]])


def majority(study: GridResults, task: str, metrics: Metrics, backbone: str) -> float | None:
    """The score of always giving the training rows' most frequent answer; None if no record of the task and backbone
    has it."""
    there = [e for e in study.entries.values() if (e.result["task"], e.result["backbone"]) == (task, backbone)]
    latest = max(there, key=lambda entry: entry.result["created"], default=None)
    return latest and _mean_of(latest.result["majority"], metrics.get(task, ("score",)))


def _mean_of(scores: dict[str, float], metrics: tuple[str, ...]) -> float | None:
    return statistics.fmean(scores[metric] for metric in metrics) if all(m in scores for m in metrics) else None
