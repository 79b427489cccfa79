"""Whether a gap between two prompts is more than noise: a paired permutation test over the examples of a task."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

REPEATS = 10_000  # permutations, and bootstrap samples


@dataclass(frozen=True)
class Comparison:
    """first, second: mean credit in per cent; difference: of them, in points, with its 95 % interval low to high.

    p: two-sided, of a difference at least so large if the two were exchangeable example by example.
    """

    first: float
    second: float
    difference: float
    low: float
    high: float
    p: float
    examples: int
    seeds: int


def compare_runs(first: pd.DataFrame, second: pd.DataFrame, seed: int = 0) -> Comparison | None:
    """Compare runs by seed, over the seeds that both have; None if they have none in common, kept no credits, or
    did not predict the same rows.

    Args:
        first, second: runs as load_runs has them, indexed by seed.
    """
    if first.empty or second.empty:
        return None
    shared = first.index.intersection(second.index, sort=False)
    shared = [of for of in shared if first.at[of, "credits"] and second.at[of, "credits"]]
    first, second = first.loc[shared], second.loc[shared]
    rows = {*first["data.fingerprint"], *second["data.fingerprint"]}
    if len(rows) != 1 or len({*first["credits"].map(len), *second["credits"].map(len)}) != 1:
        return None
    return compare(np.array(list(first["credits"])), np.array(list(second["credits"])), seed=seed)


def compare(first: np.ndarray, second: np.ndarray, seed: int = 0) -> Comparison:
    """Sign-flip permutation test and paired bootstrap of the mean credit.

    Args:
        first, second: credits [seeds, examples], 0 to 1, of the same examples.

    Both statistics depend on the examples only through how often each value of the difference occurs. So binomial
    and multinomial draws of those counts replace draws for each example, with the same distribution.
    """
    differences = np.round(first.mean(axis=0) - second.mean(axis=0), 9)
    total, n = differences.sum(), differences.size
    # Drawn as if the difference were positive and turned back, so that swapping the two changes nothing but the sign.
    sign = -1.0 if total < 0 else 1.0
    rng = np.random.default_rng(seed)
    sizes, counts = np.unique(np.abs(differences), return_counts=True)
    totals = (2 * rng.binomial(counts, 0.5, size=(REPEATS, counts.size)) - counts) @ sizes
    p = (1 + np.count_nonzero(np.abs(totals) >= abs(total) - 1e-6)) / (1 + REPEATS)
    values, counts = np.unique(sign * differences, return_counts=True)
    means = rng.multinomial(n, counts / n, size=REPEATS) @ values / n
    low, high = sorted(sign * np.percentile(means, [2.5, 97.5]))
    return Comparison(
        first=100 * float(first.mean()),
        second=100 * float(second.mean()),
        difference=100 * float(total / n),
        low=100 * float(low),
        high=100 * float(high),
        p=float(p),
        examples=n,
        seeds=len(first),
    )


def holm(p_values: list[float]) -> list[float]:
    """Holm's adjustment for testing several hypotheses at once, in the order given."""
    adjusted, running = [0.0] * len(p_values), 0.0
    for rank, i in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        running = max(running, min(1.0, p_values[i] * (len(p_values) - rank)))
        adjusted[i] = running
    return adjusted
