"""Which learning rate a row shows. Where a grid tries several, it is the best on held-out rows.

The reported score has no part in the choice. A rate is judged by the score that chose its runs' checkpoints
(`best.select_score`), on rows held out of the training rows, averaged over the seeds that every recorded rate of the
task has, in every row: a method with more runs (figure 4 has all seeds at all rates) must not choose better for it. So
one seed may try all rates, and the others train at the chosen one alone.
"""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Iterable

from rpt.config.grids import Point
from rpt.reports.grid_results import GridResults, RateChoice
from rpt.reports.layouts import is_about

By = dict[str, float]


def choose_rates(results: GridResults) -> GridResults:
    """The same grid with one rate at each row and task and no axis of rates; runs at other rates are left out.

    A grid of one rate, and one whose rates are its subject (figure 4), stay as they are. So does a grid whose runs
    hold no rows out: its tables have a row for each rate.
    """
    experiment = results.experiment
    held_out = all(config.protocol.selection == "held_out" for config in experiment.jobs.values())
    if len(experiment.axes.get("lr", ())) < 2 or is_about(experiment.name, "lr") or not held_out:
        return results
    keys = list(experiment.axes)
    lr, seed = keys.index("lr"), keys.index("seed")
    scores = results.runs.reindex(columns=["best.select_score"])["best.select_score"].dropna()
    recorded: dict[Point, dict[str, By]] = {}  # by the point without rate and seed: each rate's scores by seed
    for point in experiment.jobs:
        recorded.setdefault(_without(point, lr, seed), {}).setdefault(point[lr], {})
    for point, score in scores.items():
        recorded[_without(point, lr, seed)][point[lr]][point[seed]] = float(score)
    names = [key for key in keys if key not in ("lr", "seed")]
    rows = {row: dict(zip(names, row, strict=True)) for row in recorded}
    seeds = _shared_seeds(rows, recorded)
    choices = {row: _choose(rows[row], by_rate, seeds[row]) for row, by_rate in recorded.items()}

    def is_chosen(point: Point) -> bool:
        return choices[_without(point, lr, seed)].rate == point[lr]

    jobs = {}
    for point, config in experiment.jobs.items():
        if is_chosen(point) or _without(point, lr) not in jobs:
            jobs[_without(point, lr)] = config
    runs = results.runs
    if not runs.empty:
        runs = runs[[is_chosen(point) for point in runs.index]].droplevel("lr")
    axes = {key: values for key, values in experiment.axes.items() if key != "lr"}
    return GridResults(dataclasses.replace(experiment, axes=axes, jobs=jobs), runs, tuple(choices.values()))


def _shared_seeds(rows: dict[Point, dict[str, str]], recorded: dict[Point, dict[str, By]]) -> dict[Point, list[str]]:
    """The seeds that every recorded rate has in every row of the same task and backbone; where those rows share none,
    the seeds that the rates of the row itself share."""
    alone = {row: _intersection(filter(None, by_rate.values())) for row, by_rate in recorded.items()}
    groups: dict[tuple[str, ...], list[Point]] = {}
    for row, at in rows.items():
        if any(recorded[row].values()):
            groups.setdefault((at["task"], at.get("backbone", "")), []).append(row)
    seeds = {row: sorted(alone[row]) for row in rows}
    for group in groups.values():
        shared = _intersection(alone[row] for row in group)
        seeds |= {row: sorted(shared or alone[row]) for row in group}
    return seeds


def _intersection(several: Iterable[Iterable[str]]) -> set[str]:
    sets = [set(one) for one in several]
    return set.intersection(*sets) if sets else set()


def _choose(at: dict[str, str], by_rate: dict[str, By], seeds: list[str]) -> RateChoice:
    """Compare the rates that are recorded over these seeds."""
    known = {rate: by_seed for rate, by_seed in by_rate.items() if by_seed}
    means = {rate: statistics.fmean(by_seed[seed] for seed in seeds) for rate, by_seed in known.items() if seeds}
    best = max(sorted(means, key=float), key=means.__getitem__, default=None)
    return RateChoice(at, tuple(by_rate), tuple(known), best, means, len(seeds))


def _without(point: Point, *places: int) -> Point:
    return tuple(value for place, value in enumerate(point) if place not in places)
