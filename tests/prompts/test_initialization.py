"""Initial values of the table, on embeddings small enough to compute by hand."""

import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rpt.prompts import from_labels, from_text, from_vocabulary, uniform

V, D = 12, 3
EMBEDDINGS = torch.arange(V * D, dtype=torch.float32).reshape(V, D)  # row i starts with 3i
FEW = settings(max_examples=50)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def rows_of(table: torch.Tensor) -> list[int]:
    """The vocabulary row that each row of the table equals."""
    indices = (table[:, 0] / D).long()
    assert torch.equal(table, EMBEDDINGS[indices])
    return indices.tolist()


@FEW
@given(length=st.integers(1, 2 * V), seed=st.integers(0, 2**31))
def test_vocabulary_rows_are_distinct_while_there_are_enough(length, seed):
    rows = rows_of(from_vocabulary(EMBEDDINGS, length, generator(seed)))
    assert len(rows) == length
    assert len(set(rows)) == length or length > V


def test_every_vocabulary_row_is_as_likely():
    one = generator()
    counts = torch.zeros(V)
    for _ in range(2000):
        counts[rows_of(from_vocabulary(EMBEDDINGS, 3, one))] += 1
    expected = 2000 * 3 / V
    assert (counts - expected).abs().max() < 5 * expected**0.5


@pytest.mark.parametrize(
    "make",
    [
        lambda g: from_vocabulary(EMBEDDINGS, 5, g),
        lambda g: from_vocabulary(EMBEDDINGS, 20, g),
        lambda g: uniform(5, D, g),
        lambda g: from_text(EMBEDDINGS, [3], 5, g),
        lambda g: from_labels(EMBEDDINGS, [[3], [1, 2]], 6, g),
    ],
)
def test_generator_alone_decides(make):
    torch.manual_seed(1)
    first = make(generator(5))
    torch.manual_seed(2)
    assert torch.equal(first, make(generator(5)))
    assert not torch.equal(first, make(generator(6)))


@FEW
@given(bound=st.floats(1e-3, 10), seed=st.integers(0, 2**31))
def test_uniform_stays_within_its_bound_and_fills_it(bound, seed):
    table = uniform(50, 40, generator(seed), bound)
    assert table.shape == (50, 40) and table.dtype is torch.float32
    assert table.abs().max() <= bound * (1 + 1e-6)
    assert table.min() < -0.9 * bound and table.max() > 0.9 * bound


def test_uniform_is_the_paper_s_half():
    assert 0.49 < uniform(100, 100, generator()).abs().max() <= 0.5


def test_text_gives_its_tokens_in_order():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert rows_of(from_text(EMBEDDINGS, [7, 2, 2], 3, generator())) == [7, 2, 2]


def test_longer_text_is_cut_with_a_warning():
    with pytest.warns(UserWarning, match="prompt.length=2 cuts the last 3 tokens"):
        assert rows_of(from_text(EMBEDDINGS, [7, 2, 5, 1, 0], 2, generator())) == [7, 2]


def test_shorter_text_is_filled_up_from_the_vocabulary():
    table = from_text(EMBEDDINGS, [7, 2], 6, generator(3))
    assert rows_of(table)[:2] == [7, 2]
    assert torch.equal(table[2:], from_vocabulary(EMBEDDINGS, 4, generator(3)))


def test_text_without_tokens_is_refused():
    with pytest.raises(ValueError, match="no tokens; give one"):
        from_text(EMBEDDINGS, [], 4, generator())


def test_labels_are_the_means_of_their_subwords():
    table = from_labels(EMBEDDINGS, [[0, 2], [5], [1, 1, 4]], 5, generator(3))
    by_hand = [[3.0, 4.0, 5.0], [15.0, 16.0, 17.0], [6.0, 7.0, 8.0]]
    assert torch.equal(table[:3], torch.tensor(by_hand))
    assert torch.equal(table[3:], from_vocabulary(EMBEDDINGS, 2, generator(3)))


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ([[0], [1], [2]], "3 labels do not fit into prompt.length=2; give prompt.length=3"),
        ([], "need tokens each"),
        ([[0], []], "need tokens each"),
    ],
)
def test_labels_that_cannot_be_placed_are_refused(labels, said):
    with pytest.raises(ValueError, match=said):
        from_labels(EMBEDDINGS, labels, 2, generator())


def test_half_precision_embeddings_give_a_free_float32_table():
    embeddings = torch.nn.Parameter(EMBEDDINGS.bfloat16())
    tables = [
        from_vocabulary(embeddings, V, generator()),
        from_text(embeddings, [1, 2], 3, generator()),
        from_labels(embeddings, [[1, 2]], 3, generator()),
    ]
    assert {table.dtype for table in tables} == {torch.float32}
    assert not any(table.requires_grad for table in tables)
    tables[0].add_(1.0)
    assert torch.equal(embeddings, EMBEDDINGS.bfloat16())


def test_mean_of_labels_is_taken_in_float32():
    embeddings = torch.tensor([[1.0], [1.0078125]]).bfloat16()  # neighbours: their mean is not a bfloat16
    assert from_labels(embeddings, [[0, 1]], 1, generator()).item() == 1.00390625
