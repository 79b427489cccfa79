"""Which learning rate a row shows. Where a grid tries several, it is the best on held-out rows.

The reported score plays no part. A rate is judged by the score that chose its runs' checkpoints (`best.select_score`,
on rows held out of the training rows), averaged over the seeds that every recorded rate of the task has in every row.
So a method with more runs (figure 4 has all seeds at all rates) does not choose better, and one seed may try all rates
while the others train at the chosen one alone. What trains nothing has no rate, and is shown as it is.
"""

from __future__ import annotations

import dataclasses

import pandas as pd

from rpt.reports.grid_results import GridResults
from rpt.reports.layouts import is_about

UNTRAINED = "none"  # the prompt of the frozen backbone as it is


def choose_rates(results: GridResults) -> GridResults:
    """Keep one rate for each row and task of a grid, and drop its axis of rates and the runs at other rates.

    A grid stays as it is if it has one rate, is about rates (figure 4) or holds no rows out; then its tables have a
    row for each rate.
    """
    experiment, runs = results.experiment, results.runs
    held_out = all(config.protocol.selection == "held_out" for config in experiment.jobs.values())
    if len(experiment.axes.get("lr", ())) < 2 or is_about(experiment.name, "lr") or not held_out or runs.empty:
        return results
    rates, row = judge_rates(results), [key for key in experiment.axes if key not in ("lr", "seed")]
    shown = rates.sort_values("chosen", ascending=False, kind="stable").drop_duplicates(row)  # else a row's first rate
    grid = results.grid.merge(shown, on=[*row, "lr"], how="left", validate="many_to_one")
    without_rate = list(grid[[key for key in experiment.axes if key != "lr"]].itertuples(index=False, name=None))
    untrained = grid["prompt"] == UNTRAINED
    points = zip(without_rate, experiment.jobs.values(), grid["chosen"].notna() | untrained, strict=True)
    jobs = {point: config for point, config, is_shown in points if is_shown}
    chosen = (grid["chosen"].eq(True) | untrained).set_axis(pd.MultiIndex.from_tuples(experiment.jobs))
    runs = runs[chosen.loc[list(runs.index)].to_numpy()].droplevel("lr")
    axes = {key: values for key, values in experiment.axes.items() if key != "lr"}
    return GridResults(dataclasses.replace(experiment, axes=axes, jobs=jobs), runs, rates)


def judge_rates(results: GridResults) -> pd.DataFrame:
    """Judge each rate of each row and task that trains something; returns a line for each, in the order of the grid.

    Columns: the axes but the seed; recorded: whether it has a run; held_out: the mean held-out score over `seeds`
    seeds; chosen: whether it is the best of its row, the lowest of equals; edge: whether it is the lowest or highest
    rate of several, so that a better one may lie beyond.
    """
    axes = [key for key in results.experiment.axes if key != "seed"]
    row, group = [key for key in axes if key != "lr"], [key for key in axes if key in ("task", "backbone")]
    trained = results.grid[results.grid["prompt"] != UNTRAINED]
    points = trained[axes].drop_duplicates(ignore_index=True)
    index = pd.MultiIndex.from_frame(points)
    scores = results.runs.reindex(columns=["best.select_score"])["best.select_score"].astype(float)
    by_seed = scores.reindex(pd.MultiIndex.from_frame(results.grid)).unstack("seed").reindex(index)
    recorded = by_seed.notna().any(axis=1)
    alone = by_seed[recorded].notna().groupby(level=row).all()  # the seeds that every recorded rate of the row has
    shared = alone.groupby(level=group).transform("all")  # and those that every row of the task has
    seeds = pd.concat([shared[shared.any(axis=1)], alone[~shared.any(axis=1)]])
    counted = seeds.reindex(index.droplevel("lr"), fill_value=False).to_numpy(dtype=bool)
    means = by_seed.where(counted & recorded.to_numpy()[:, None]).mean(axis=1).round(9)
    rates = points.assign(recorded=recorded.to_numpy(), held_out=means.to_numpy(), seeds=counted.sum(axis=1))
    numbers = points["lr"].astype(float)
    of_row = numbers.groupby([points[key] for key in row])
    best = (
        rates.loc[numbers.sort_values(kind="stable").index].dropna(subset="held_out").groupby(row)["held_out"].idxmax()
    )
    is_end = (numbers == of_row.transform("min")) | (numbers == of_row.transform("max"))
    return rates.assign(chosen=rates.index.isin(best), edge=is_end & (of_row.transform("nunique") > 1))
