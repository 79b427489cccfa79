"""The rows of each step: every row once an epoch, the same whenever it is asked, similar lengths together."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rpt.data.batches import epoch_steps, pad, within

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


@given(st.lists(st.tuples(st.integers(0, 100), st.integers(1, 500)), min_size=1, max_size=200), st.integers(1, 5000))
def test_passes_hold_all_rows_and_no_more_tokens_than_they_may(widths, max_tokens):
    passes = within(widths, max_tokens)
    assert [i for first, last in passes for i in range(first, last)] == list(range(len(widths)))
    for first, last in passes:
        prompts, texts = zip(*widths[first:last], strict=True)
        assert last - first == 1 or (max(prompts) + max(texts)) * (last - first) <= max_tokens
