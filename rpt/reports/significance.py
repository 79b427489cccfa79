"""Residual against plain. A permutation test and a bootstrap say whether the gap is more than noise over examples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from rpt.reports.grid_results import GridResults
from rpt.reports.labels import signed
from rpt.reports.layouts import SIGNIFICANCE
from rpt.reports.table import Table, make_table

REPEATS = 10_000  # permutations, and bootstrap samples
BATCH = 500  # of them at a time, which bounds the memory
COLUMNS = ["PT", "Residual PT", "difference", "95 % interval", "p", "p (Holm)", "examples", "seeds"]
Pair = tuple[np.ndarray, np.ndarray]  # credits [seeds, examples], 0 to 1, of the same examples


@dataclass(frozen=True)
class Comparison:
    """first, second: mean credits in per cent. difference: in points, with its 95 % interval from low to high. p: the
    two-sided probability of such a difference if the two were exchangeable example by example."""

    first: float
    second: float
    difference: float
    low: float
    high: float
    p: float
    examples: int
    seeds: int


def credits_of(first: pd.DataFrame, second: pd.DataFrame) -> Pair | None:
    """The credits of shared seeds; None if no seed is shared, credits are missing or the rows differ.

    Args:
        first, second: runs as load_runs has them, indexed by seed.
    """
    if first.empty or second.empty:
        return None
    shared = first.index.intersection(second.index, sort=False)
    shared = [seed for seed in shared if first.at[seed, "credits"] and second.at[seed, "credits"]]
    first, second = first.loc[shared], second.loc[shared]
    rows = {*first["data.fingerprint"], *second["data.fingerprint"]}
    if len(rows) != 1 or len({*first["credits"].map(len), *second["credits"].map(len)}) != 1:
        return None
    return np.array(list(first["credits"])), np.array(list(second["credits"]))


def compare_tasks(pairs: Sequence[Pair], seed: int = 0) -> Comparison:
    """Compare the mean credit, tasks weighted equally.

    The permutation test flips the signs of the examples' differences; the bootstrap resamples the examples of each
    task. Both work on the positive difference, so that swapping the two changes only the sign.
    """
    means = [np.mean([credits.mean() for credits in side]) for side in zip(*pairs, strict=True)]
    by_task = [first.mean(axis=0) - second.mean(axis=0) for first, second in pairs]
    difference = round(sum(gaps.mean() for gaps in by_task) / len(pairs), 12) + 0.0  # no minus before zero
    sign = -1.0 if difference < 0 else 1.0
    draws = {"n_resamples": REPEATS, "vectorized": True, "batch": BATCH, "rng": seed}
    shares = np.concatenate([sign * gaps / (gaps.size * len(pairs)) for gaps in by_task])
    p, low, high = 1.0, difference, difference
    if min(gaps.size for gaps in by_task) > 1:  # a single example shows nothing
        flipped = stats.permutation_test(
            (shares,), _size_of_sum, permutation_type="samples", alternative="greater", **draws
        )
        drawn = stats.bootstrap([sign * gaps for gaps in by_task], _mean_of_means, method="percentile", **draws)
        p, (low, high) = flipped.pvalue, sorted(sign * limit for limit in drawn.confidence_interval)
    first, second, difference, low, high = (100 * float(value) for value in (*means, difference, low, high))
    seeds = min(len(credits) for credits, _ in pairs)
    return Comparison(first, second, difference, low, high, float(p), shares.size, seeds)


def _size_of_sum(sample: np.ndarray, axis: int) -> np.ndarray:
    return np.abs(sample.sum(axis=axis)).round(9)  # sums of the same differences in another order are equal


def _mean_of_means(*samples: np.ndarray, axis: int) -> np.ndarray:
    return sum(sample.mean(axis=axis) for sample in samples) / len(samples)


def holm(p_values: list[float]) -> list[float]:
    """Holm's adjustment for testing several hypotheses at once, in the order given."""
    order, n = np.argsort(p_values, kind="stable"), len(p_values)
    adjusted = np.empty(n)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(np.asarray(p_values)[order] * np.arange(n, 0, -1)))
    return adjusted.tolist()


def significance_table(results: GridResults) -> Table | None:
    """Residual against plain by task, over the examples that both predicted; None where nothing can be compared."""
    axes = (*(key for key in results.row_axes(("backbone",)) if key != "prompt"), "task")
    compared = []
    for at in results.points(axes):
        plain, residual = (results.at(at | {"prompt": prompt}) for prompt in ("vanilla", "residual"))
        if (pair := credits_of(residual, plain)) is not None:
            compared.append((at, compare_tasks([pair])))
    lines, records = [], []
    for (at, test), p_holm in zip(compared, holm([test.p for _, test in compared]), strict=True):
        means = [f"{test.second:.1f}", f"{test.first:.1f}", signed(test.difference)]
        tested = [f"{signed(test.low)} to {signed(test.high)}", p_value(test.p), p_value(p_holm)]
        lines.append((at, [*means, *tested, f"{test.examples:,}", str(test.seeds)]))
        records.append(
            {**at, "plain": test.second, "residual": test.first, "difference": test.difference, "low": test.low}
            | {"high": test.high, "p": test.p, "p_holm": p_holm, "examples": test.examples, "seeds": test.seeds}
        )
    facts, name = {"repeats": f"{REPEATS:,}"}, "significance"
    made = make_table(SIGNIFICANCE, name, results, axes, COLUMNS, [lines], records, facts, in_report=False)
    return made if compared else None


def p_value(p: float) -> str:
    return "<0.001" if p < 0.001 else f"{p:.3f}"
