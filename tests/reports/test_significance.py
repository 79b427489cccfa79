"""The permutation test: what it must say whatever the data."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from rpt.reports.significance import compare_tasks, credits_of, holm

CREDITS = st.sampled_from([0.0, 0.25, 0.5, 1.0])
SHAPES = st.tuples(st.integers(1, 3), st.integers(1, 40))
PAIRS = SHAPES.flatmap(lambda shape: st.tuples(*[arrays(float, shape, elements=CREDITS)] * 2))


def compare(first, second, seed=0):
    return compare_tasks([(first, second)], seed)


def compare_runs(first, second):
    pair = credits_of(first, second)
    return None if pair is None else compare(*pair)


@settings(max_examples=30, deadline=None)
@given(PAIRS)
def test_swapping_the_two_turns_the_sign_and_nothing_else(pair):
    forward, back = compare(*pair), compare(*pair[::-1])
    assert forward.difference == -back.difference and forward.p == back.p
    if forward.difference:
        assert (forward.low, forward.high) == (-back.high, -back.low)
    assert forward.low - 1e-9 <= forward.difference <= forward.high + 1e-9 or forward.examples < 5


@settings(max_examples=20, deadline=None)
@given(PAIRS)
def test_identical_credits_have_p_one_and_no_interval(pair):
    same = compare(pair[0], pair[0])
    assert (same.p, same.difference, same.low, same.high) == (1.0, 0.0, 0.0, 0.0)


@settings(max_examples=30, deadline=None)
@given(PAIRS)
def test_difference_is_that_of_the_means(pair):
    assert compare(*pair).difference == pytest.approx(100 * (pair[0].mean() - pair[1].mean()), abs=1e-6)


@pytest.mark.slow
def test_p_is_about_uniform_without_a_real_difference():
    rng = np.random.default_rng(0)
    ps = np.array([compare(*rng.integers(0, 3, (2, 2, 60)) / 2, seed=i).p for i in range(100)])
    assert 0.4 < ps.mean() < 0.6
    assert (ps < 0.05).mean() < 0.1 and (ps < 0.5).mean() == pytest.approx(0.5, abs=0.12)


def test_agrees_with_flipping_every_example():
    rng = np.random.default_rng(1)
    first, second = (rng.random((3, 60)) < 0.6).astype(float), (rng.random((3, 60)) < 0.5).astype(float)
    differences = first.mean(0) - second.mean(0)
    signs = rng.choice([-1, 1], size=(20_000, 60))
    p = np.mean(np.abs(signs @ differences) >= abs(differences.sum()) - 1e-9)
    means = differences[rng.integers(0, 60, size=(20_000, 60))].mean(1)
    got = compare(first, second)
    assert got.p == pytest.approx(p, abs=0.02)
    assert [got.low, got.high] == pytest.approx(100 * np.percentile(means, [2.5, 97.5]), abs=1.0)


def test_a_clear_gap_has_the_smallest_p_there_can_be():
    gap = compare(np.ones((2, 100)), np.zeros((2, 100)))
    assert gap.p == 1 / 10_001 and gap.difference == 100


def runs(rows="a", **credits):
    """Runs as a data frame has them, by seed."""
    seeds = [seed.removeprefix("seed") for seed in credits]
    return pd.DataFrame({"credits": list(credits.values()), "data.fingerprint": rows}, index=seeds)


def test_compares_only_runs_on_the_same_rows_and_seeds():
    right, wrong = [1.0, 0.0, 1.0], [0.0, 0.0, 1.0]
    assert compare_runs(runs(seed0=right, seed1=right), runs(seed1=wrong)).seeds == 1
    assert compare_runs(runs(seed0=right), runs(seed1=wrong)) is None
    assert compare_runs(runs(seed0=right), runs(seed0=None)) is None
    assert compare_runs(runs(seed0=right), runs(seed0=[1.0])) is None
    assert compare_runs(runs(seed0=right), runs(rows="b", seed0=wrong)) is None
    assert compare_runs(runs(seed0=right), pd.DataFrame()) is None


def test_tasks_count_the_same_however_many_examples_they_have():
    rng = np.random.default_rng(3)
    small = (np.ones((2, 10)), np.zeros((2, 10)))
    large = tuple((rng.random((2, 400)) < 0.5).astype(float) for _ in range(2))
    both, alone = compare_tasks([small, large]), compare(*large)
    assert both.difference == pytest.approx((100 + alone.difference) / 2) and both.examples == 410 and both.seeds == 2
    assert (both.high - both.low) == pytest.approx((alone.high - alone.low) / 2, rel=0.1)  # the small one is certain
    assert both.p < 0.01 < alone.p
    assert compare_tasks([large]) == alone


def test_agrees_with_scipy():
    """Called as its documentation does, without our signs and batches."""
    rng = np.random.default_rng(2)
    first, second = (rng.random((3, 80)) < 0.62).astype(float), (rng.random((3, 80)) < 0.5).astype(float)
    differences = first.mean(axis=0) - second.mean(axis=0)
    draws = {"n_resamples": 20_000, "vectorized": True, "rng": 0}
    permuted = stats.permutation_test(
        (differences,), lambda x, axis: x.mean(axis=axis), permutation_type="samples", alternative="two-sided", **draws
    )
    drawn = stats.bootstrap((differences,), np.mean, method="percentile", **draws)
    got = compare(first, second)
    assert 0.001 < got.p < 0.5 and got.p == pytest.approx(permuted.pvalue, abs=0.015)
    interval = [100 * drawn.confidence_interval.low, 100 * drawn.confidence_interval.high]
    assert [got.low, got.high] == pytest.approx(interval, abs=0.6)


def test_holm_against_a_worked_example():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
