"""The permutation test: what it must say whatever the data."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rpt.records.schema import RunRecord
from rpt.reports.significance import compare, compare_entries, holm

CREDITS = st.sampled_from([0.0, 0.25, 0.5, 1.0])
SHAPES = st.tuples(st.integers(1, 3), st.integers(1, 40))
PAIRS = SHAPES.flatmap(lambda shape: st.tuples(*[arrays(float, shape, elements=CREDITS)] * 2))


@settings(max_examples=30, deadline=None)
@given(PAIRS)
def test_swapping_the_two_turns_the_sign_and_nothing_else(pair):
    there, back = compare(*pair), compare(*pair[::-1])
    assert there.difference == -back.difference and there.p == back.p
    if there.difference:
        assert (there.low, there.high) == (-back.high, -back.low)
    assert there.low - 1e-9 <= there.difference <= there.high + 1e-9 or there.examples < 5


@settings(max_examples=20, deadline=None)
@given(PAIRS)
def test_identical_credits_have_p_one_and_no_interval(pair):
    same = compare(pair[0], pair[0])
    assert (same.p, same.difference, same.low, same.high) == (1.0, 0.0, 0.0, 0.0)


@settings(max_examples=30, deadline=None)
@given(PAIRS)
def test_difference_is_that_of_the_means(pair):
    assert compare(*pair).difference == pytest.approx(100 * (pair[0].mean() - pair[1].mean()), abs=1e-6)


def test_p_is_about_uniform_without_a_real_difference():
    rng = np.random.default_rng(0)
    ps = np.array([compare(*rng.integers(0, 3, (2, 2, 200)) / 2, seed=i).p for i in range(200)])
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


def entry(tmp_path, credits, rows="a"):
    return RunRecord(tmp_path, {}, {"data": {"fingerprint": rows}}, [], None, credits)


def test_compares_only_runs_on_the_same_rows_and_seeds(tmp_path):
    one, other = entry(tmp_path, [1.0, 0.0, 1.0]), entry(tmp_path, [0.0, 0.0, 1.0])
    assert compare_entries({"0": one, "1": one}, {"1": other}).seeds == 1
    assert compare_entries({"0": one}, {"1": other}) is None
    assert compare_entries({"0": one}, {"0": entry(tmp_path, None)}) is None
    assert compare_entries({"0": one}, {"0": entry(tmp_path, [1.0])}) is None
    assert compare_entries({"0": one}, {"0": entry(tmp_path, [0.0, 0.0, 1.0], rows="b")}) is None


def test_holm_against_a_worked_example():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
