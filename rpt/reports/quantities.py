"""What claims compare. Ours by seed, and the paper's own."""

from __future__ import annotations

import statistics
from collections.abc import Callable

import pandas as pd

from rpt.reports.grid_results import GridResults, pick_cell
from rpt.reports.layouts import METRICS
from rpt.reports.paper import Paper
from rpt.reports.scores import task_scores

At = dict[str, str]  # values of axes
Ours = Callable[[GridResults, At], tuple[pd.Series, pd.Series]]  # two quantities by seed, the larger first
Theirs = Callable[[Paper, GridResults, str], list[float] | None]  # the same for one backbone of the paper's


def average(results: GridResults, at: At) -> pd.Series:
    """The mean over the grid's tasks, for the seeds that have a run of each."""
    results.at({**at, "task": results.experiment.axes["task"][0]})  # a value or an axis that is not there is an error
    return pick_cell(task_scores(results, METRICS[results.experiment.name]), at)["average"].dropna()


def averages(first: At, second: At, smallest: str | None = None) -> Ours:
    """The averages at two places of the grid; smallest: an axis, of which the smallest value is looked at."""

    def quantities(results: GridResults, at: At) -> tuple[pd.Series, pd.Series]:
        at = at | ({smallest: min(results.experiment.axes[smallest], key=float)} if smallest else {})
        return average(results, at | first), average(results, at | second)

    return quantities


def ranges_along(axis: str) -> Ours:
    """How far the average moves along an axis, from its lowest to its highest: of plain, then of residual."""

    def spread(results: GridResults, at: At) -> pd.Series:
        lines = pd.DataFrame({x: average(results, at | {axis: x}) for x in results.experiment.axes[axis]}).dropna()
        return lines.max(axis=1) - lines.min(axis=1)

    return lambda results, at: tuple(spread(results, at | {"prompt": prompt}) for prompt in ("vanilla", "residual"))


def speeds(results: GridResults, at: At) -> tuple[pd.Series, pd.Series]:
    """The score averaged over a run's evaluations (and tasks): the sooner it rises, the higher.

    Of residual, then of plain; over the evaluations that both runs of a seed have, for one may have stopped earlier.
    One evaluation says nothing of speed: a run with no more counts as none.
    """

    def scores(task: str, prompt: str) -> dict[str, list[float]]:
        runs = results.at(at | {"task": task, "prompt": prompt})
        histories = runs["history"].items() if len(runs) else ()
        return {seed: [line["score"] for line in history] for seed, history in histories}

    def speed(prompt: str, other: str) -> pd.Series:
        by_task = {}
        for task in results.experiment.axes["task"]:
            others = scores(task, other)
            shared = {seed: line[: len(others.get(seed, line))] for seed, line in scores(task, prompt).items()}
            means = {seed: statistics.fmean(line) for seed, line in shared.items() if len(line) > 1}
            by_task[task] = pd.Series(means, dtype=float)
        return pd.DataFrame(by_task, dtype=float).dropna().mean(axis=1)

    return speed("residual", "vanilla"), speed("vanilla", "residual")


def printed(table: str, *rows: str) -> Theirs:
    """The paper's averages of some rows, for its own backbone or the one that stands beside ours."""

    def values(paper: Paper, results: GridResults, backbone: str) -> list[float] | None:
        name = paper.backbone_beside(table, backbone)
        averages = [paper.value(table, name, row, "average") for row in rows]
        covered = paper.covered_by(results.experiment.axes["task"], table)  # or they are over other tasks
        return averages if covered and None not in averages else None

    return values


def printed_ranges(paper: Paper, results: GridResults, backbone: str) -> list[float] | None:
    """How far the averages of table 4 move with the initialisation: of plain, then of residual."""
    scores = [printed("table4", f"{row}-random", f"{row}-vocab")(paper, results, backbone) for row in ("pt", "rpt")]
    return None if None in scores else [max(of_row) - min(of_row) for of_row in scores]


def digitised_ranges(paper: Paper, results: GridResults, backbone: str) -> list[float] | None:
    """How far a figure's curves move: of plain, then of residual."""
    curves = [_digitised(paper, results, prompt) for prompt in ("vanilla", "residual")]
    return [max(curve) - min(curve) for curve in curves] if all(curves) else None


def digitised_starts(paper: Paper, results: GridResults, backbone: str) -> list[float] | None:
    """The first point of a figure's curves: of residual, then of plain."""
    curves = [_digitised(paper, results, prompt) for prompt in ("residual", "vanilla")]
    return [curve[0] for curve in curves] if all(curves) else None


def _digitised(paper: Paper, results: GridResults, prompt: str) -> list[float]:
    """A figure's curve, averaged over the grid's tasks; nothing if it lacks one of them.

    Its own panel of averages is over tasks that it does not name.
    """
    curves = [paper.curve(results.experiment.name, task, prompt)[1] for task in results.experiment.axes["task"]]
    return [statistics.fmean(scores) for scores in zip(*curves, strict=True)] if all(curves) else []
