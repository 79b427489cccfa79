"""A table's cell, mean and spread. Per cent throughout."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from rpt.reports.grid_results import GridResults
from rpt.reports.layouts import Metrics
from rpt.tasks import TASKS, get_task


@dataclass(frozen=True)
class Cell:
    """Mean and sample standard deviation (n - 1) over n seeds; None where there are too few."""

    mean: float | None = None
    sd: float | None = None
    n: int = 0

    @classmethod
    def over(cls, scores: pd.Series) -> Cell:
        """From one score a seed; NaN is a seed without a score."""
        mean, sd = (None if pd.isna(value) else float(value) for value in (scores.mean(), scores.std()))
        return cls(mean, sd, int(scores.count()))

    def __str__(self) -> str:
        """77.9 ± 0.4; empty without any seed."""
        return " ± ".join(f"{value:.1f}" for value in (self.mean, self.sd) if pd.notna(value))


def metrics_of(task: str, metrics: Metrics, family: str = "t5") -> tuple[str, ...]:
    """The metrics whose mean is shown for a task.

    Args:
        family: of the backbone; an encoder answers some tasks in another form.
    """
    return tuple(metrics.get(task, ())) or (get_task(task, family).paper_score if task in TASKS else ("score",))


def run_scores(results: GridResults, metrics: Metrics, kind: str = "scores") -> pd.Series:
    """Each recorded run's number, indexed by the axes; NaN where its record lacks a metric.

    Args:
        kind: "scores", or "majority": the scores of always giving the most frequent answer on the same rows.
    """
    scores = pd.Series(np.nan, index=results.runs.index)
    tasks = results.runs.index.get_level_values("task")
    for task in tasks.unique():
        columns = [f"{kind}.{metric}" for metric in metrics.get(task, ("score",))]
        scores = scores.where(tasks != task, results.runs.reindex(columns=columns).mean(axis=1, skipna=False))
    return scores


def task_scores(results: GridResults, metrics: Metrics) -> pd.DataFrame:
    """A column for each task, and "average" for seeds with a run of every task.

    The index has a level for each axis but the task, seed included.
    """
    wide = run_scores(results, metrics).unstack("task").reindex(columns=list(results.tasks))
    return wide.assign(average=wide.mean(axis=1, skipna=False))


def floors(results: GridResults, metrics: Metrics) -> pd.DataFrame:
    """Scores of always giving the training rows' most frequent answer: backbones by tasks and their average.

    From the latest run of each; NaN if there is none. Few-shot rows have each class equally often, so no answer is the
    most frequent: with two labels the better constant answer counts; with more the records do not have it (NaN).
    """
    runs = results.runs.reindex(columns=["created", "task", "backbone.family", "data.shots"])
    recorded = run_scores(results, metrics, "majority")
    few = runs["data.shots"].notna()
    kinds = zip(runs["task"], runs["backbone.family"], strict=True)
    two = [_has_two_answers(task, metrics, family) for task, family in kinds]
    recorded[few] = np.where(two, np.maximum(recorded, 100 - recorded), np.nan)[few]
    latest = recorded.loc[runs.sort_values("created", kind="stable").index].groupby(level=["backbone", "task"]).last()
    axes = results.experiment.axes
    lowest = latest.unstack("task").reindex(index=list(axes["backbone"]), columns=list(axes["task"]))
    return lowest.assign(average=lowest.mean(axis=1, skipna=False))


def _has_two_answers(task: str, metrics: Metrics, family: str) -> bool:
    """Whether there are two constant answers, whose accuracies add up to 100."""
    is_accuracy = metrics_of(task, metrics, family) == ("accuracy",)
    return task in TASKS and is_accuracy and len(get_task(task, family).labels) == 2
