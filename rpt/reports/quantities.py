"""The quantities that the paper's claims compare: ours by seed, and the paper's own."""

from __future__ import annotations

import statistics
from collections.abc import Callable

import pandas as pd

from rpt.reports.grid_results import GridResults, pick_cell
from rpt.reports.layouts import METRICS
from rpt.reports.paper import Paper
from rpt.reports.scores import task_scores
from rpt.reports.tables.remarks import covers

At = dict[str, str]  # values of axes
Ours = Callable[[GridResults, At], tuple[pd.Series, pd.Series]]  # two quantities by seed, the larger first
Theirs = Callable[[Paper, GridResults, str], tuple[float, ...] | None]  # of a backbone


def average(results: GridResults, at: At) -> pd.Series:
    """The mean over the grid's tasks, for the seeds that have a run of each."""
    results.at({**at, "task": results.experiment.axes["task"][0]})  # a value or an axis that is not there is an error
    return pick_cell(task_scores(results, METRICS[results.experiment.name]), at)["average"].dropna()


def of_prompts(first: str, second: str, shortest: str | None = None) -> Ours:
    """The averages of two prompts; shortest: an axis, of which the smallest value is looked at."""

    def quantities(results: GridResults, at: At) -> tuple[pd.Series, pd.Series]:
        at = at | ({shortest: min(results.experiment.axes[shortest], key=float)} if shortest else {})
        return average(results, at | {"prompt": first}), average(results, at | {"prompt": second})

    return quantities


def of_settings(axis: str, first: str, second: str) -> Ours:
    """The averages of residual prompts at two values of an axis."""

    def quantities(results: GridResults, at: At) -> tuple[pd.Series, pd.Series]:
        at = at | {"prompt": "residual"}
        return average(results, at | {axis: first}), average(results, at | {axis: second})

    return quantities


def of_ranges(axis: str) -> Ours:
    """How far the average moves along an axis, from its lowest to its highest: of plain, then of residual."""

    def spread(results: GridResults, at: At) -> pd.Series:
        lines = pd.DataFrame({x: average(results, at | {axis: x}) for x in results.experiment.axes[axis]}).dropna()
        return lines.max(axis=1) - lines.min(axis=1)

    return lambda results, at: tuple(spread(results, at | {"prompt": prompt}) for prompt in ("vanilla", "residual"))


def of_speeds(results: GridResults, at: At) -> tuple[pd.Series, pd.Series]:
    """The score averaged over a run's evaluations (and tasks): the sooner it rises, the higher.

    Of residual, then of plain; over the evaluations that both runs of a seed have, for one may have stopped earlier.
    One evaluation says nothing of speed: a run with no more counts as none.
    """

    def scores(task: str, prompt: str) -> dict[str, list[float]]:
        runs = results.at(at | {"task": task, "prompt": prompt})
        histories = runs["history"].items() if len(runs) else ()
        return {seed: [line["score"] for line in history] for seed, history in histories}

    def of(prompt: str, other: str) -> pd.Series:
        by_task = {}
        for task in results.experiment.axes["task"]:
            own, others = scores(task, prompt), scores(task, other)
            kept = {seed: line[: len(others.get(seed, line))] for seed, line in own.items()}
            means = {seed: statistics.fmean(line) for seed, line in kept.items() if len(line) > 1}
            by_task[task] = pd.Series(means, dtype=float)
        return pd.DataFrame(by_task, dtype=float).dropna().mean(axis=1)

    return of("residual", "vanilla"), of("vanilla", "residual")


def printed(table: str, first: str, second: str) -> Theirs:
    """The paper's averages of two rows, for its own backbone or the one that a miniature stands for."""

    def of(paper: Paper, results: GridResults, backbone: str) -> tuple[float, ...] | None:
        if not covers(results, paper, table):
            return None  # they are over other tasks
        name = paper.backbone_beside(table, backbone)
        return paper.value(table, name, first, "average"), paper.value(table, name, second, "average")

    return of


def printed_ranges(paper: Paper, results: GridResults, backbone: str) -> tuple[float, ...] | None:
    """How far the averages of table 4 move with the initialisation: of plain, then of residual."""
    inits = [printed("table4", *(f"{prompt}-{init}" for prompt in ("pt", "rpt"))) for init in ("random", "vocab")]
    scores = [of(paper, results, backbone) for of in inits]
    return None if None in scores else tuple(max(of) - min(of) for of in zip(*scores, strict=True))


def digitised_ranges(paper: Paper, results: GridResults, backbone: str) -> tuple[float, ...] | None:
    """How far a figure's curves move: of plain, then of residual."""
    curves = [_digitised(paper, results, prompt) for prompt in ("vanilla", "residual")]
    return tuple(max(curve) - min(curve) for curve in curves) if all(curves) else None


def digitised_starts(paper: Paper, results: GridResults, backbone: str) -> tuple[float, ...] | None:
    """The first point of a figure's curves: of residual, then of plain."""
    curves = [_digitised(paper, results, prompt) for prompt in ("residual", "vanilla")]
    return tuple(curve[0] for curve in curves) if all(curves) else None


def _digitised(paper: Paper, results: GridResults, prompt: str) -> list[float]:
    """A figure's curve, averaged over the grid's tasks; nothing if it lacks one of them.

    Its own panel of averages is over tasks that it does not name.
    """
    curves = [paper.curve(results.experiment.name, task, prompt)[1] for task in results.experiment.axes["task"]]
    return [statistics.fmean(scores) for scores in zip(*curves, strict=True)] if all(curves) else []
