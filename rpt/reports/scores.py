"""The numbers in tables and figures: scores of one setting over its seeds. Per cent throughout."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass

import pandas as pd

from rpt.reports.grid_results import GridResults
from rpt.reports.layouts import Metrics


@dataclass(frozen=True)
class Cell:
    """Mean and sample standard deviation (n - 1) over n seeds; None without any seed, and with one."""

    mean: float | None
    sd: float | None
    n: int

    @classmethod
    def of(cls, scores: pd.Series) -> Cell:
        """Of one score a seed; NaN is a seed without."""
        known = scores.dropna().to_list()
        mean = statistics.fmean(known) if known else None
        return cls(mean, statistics.stdev(known) if len(known) > 1 else None, len(known))

    @classmethod
    def from_statistics(cls, mean: float, sd: float, n: float) -> Cell:
        """NaN is none."""
        return cls(None if math.isnan(mean) else float(mean), None if math.isnan(sd) else float(sd), int(n))

    def __str__(self) -> str:
        """77.9 ± 0.4; empty without any seed."""
        if self.mean is None:
            return ""
        return f"{self.mean:.1f}" + ("" if self.sd is None else f" ± {self.sd:.1f}")


def run_scores(results: GridResults, metrics: Metrics, of: str = "scores") -> pd.Series:
    """Each recorded run's number, indexed by the axes; NaN where its record lacks a metric.

    Args:
        of: "scores", or "majority" for what always giving the most frequent answer scores on the same rows.
    """
    runs = results.runs
    if runs.empty:
        return pd.Series(dtype=float)
    parts = []
    for task, there in runs.groupby(level="task"):
        columns = [f"{of}.{metric}" for metric in metrics.get(task, ("score",))]
        parts.append(there.reindex(columns=columns).mean(axis=1, skipna=False))
    return pd.concat(parts)


def task_scores(results: GridResults, metrics: Metrics) -> pd.DataFrame:
    """A column for each task, and "average" for those seeds that have a run of every task.

    The index has a level for each axis but the task, seed included.
    """
    tasks = list(results.experiment.axes["task"])
    if results.runs.empty:
        return pd.DataFrame(columns=[*tasks, "average"], dtype=float)
    wide = run_scores(results, metrics).unstack("task").reindex(columns=tasks)
    wide["average"] = wide.mean(axis=1, skipna=False)
    return wide


def floors(results: GridResults, metrics: Metrics) -> pd.DataFrame:
    """The score of always giving the training rows' most frequent answer: backbones by tasks.

    Of the latest run of each; NaN if there is none.
    """
    axes = results.experiment.axes
    if results.runs.empty:
        return pd.DataFrame(index=axes["backbone"], columns=axes["task"], dtype=float)
    of_runs = run_scores(results, metrics, "majority")
    latest = of_runs.loc[results.runs.sort_values("created", kind="stable").index].groupby(level=["backbone", "task"])
    return latest.last().unstack("task").reindex(index=list(axes["backbone"]), columns=list(axes["task"]))
