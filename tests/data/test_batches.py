"""The rows of each step: each row once an epoch, reproducible, with similar lengths in a batch."""

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rpt.data.batches import epoch_steps, pad, plan_passes

LENGTHS = st.lists(st.integers(1, 500), min_size=1, max_size=300).map(np.array)


@given(LENGTHS, st.integers(1, 17), st.integers(0, 5), st.integers(0, 5), st.sampled_from(["grouped", "once"]))
def test_every_row_once_in_full_steps(lengths, size, seed, epoch, order):
    steps = epoch_steps(lengths, size, seed, epoch, order)
    assert sorted(np.concatenate(steps).tolist()) == list(range(len(lengths)))
    assert len(steps) == -(-len(lengths) // size)
    assert sorted(map(len, steps))[1:] == [size] * (len(steps) - 1)
    again = epoch_steps(lengths, size, seed, epoch, order)
    assert all(np.array_equal(a, b) for a, b in zip(steps, again, strict=True))


def test_grouped_saves_padding_and_changes_with_seed_and_epoch():
    lengths = np.random.default_rng(0).integers(10, 500, 4000)
    grouped, once = (epoch_steps(lengths, 8, 0, 0, order) for order in ("grouped", "once"))

    def padded(steps):
        return sum(lengths[step].max() * len(step) for step in steps)

    assert padded(grouped) < 1.1 * lengths.sum() < padded(once)
    first = grouped[0].tolist()
    assert first != epoch_steps(lengths, 8, 0, 1, "grouped")[0].tolist()
    assert first != epoch_steps(lengths, 8, 1, 0, "grouped")[0].tolist()
    assert once[0].tolist() == epoch_steps(lengths, 8, 3, 7, "once")[0].tolist()


def test_pad():
    assert pad([[1, 2, 3], [4]], 0).tolist() == [[1, 2, 3], [4, 0, 0]]
    assert pad([[1]], -100, 3).tolist() == [[1, -100, -100]]


def cost(widths, passes, pass_cost):
    prompts, texts = zip(*widths, strict=True)
    return sum((max(prompts[a:b]) + max(texts[a:b])) * (b - a) + pass_cost for a, b in passes)


@given(st.lists(st.tuples(st.integers(0, 100), st.integers(1, 500)), min_size=1, max_size=8), st.data())
def test_passes_hold_all_rows_and_no_more_tokens_than_they_may_and_cost_least(widths, data):
    """Compared with all ways to cut the rows."""
    max_tokens, pass_cost = data.draw(st.integers(1, 5000)), data.draw(st.integers(0, 2000))
    passes = plan_passes(widths, max_tokens, pass_cost)
    allowed = []
    for cuts in itertools.product((False, True), repeat=len(widths) - 1):
        places = [0, *(i for i, cut in enumerate(cuts, start=1) if cut), len(widths)]
        cut = list(itertools.pairwise(places))
        if all(
            last - first == 1 or cost(widths[first:last], [(0, last - first)], 0) <= max_tokens for first, last in cut
        ):
            allowed.append(cut)
    assert passes in allowed
    assert cost(widths, passes, pass_cost) == min(cost(widths, cut, pass_cost) for cut in allowed)
