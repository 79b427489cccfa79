"""What counts as memory that has run out, and how a batch is made smaller until it fits."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rpt.backbones import Row
from rpt.backbones.pass_limit import PassLimit, is_out_of_memory

OUT_OF_MEMORY = [
    torch.OutOfMemoryError("no room"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError("CUDA error: out of memory"),
    RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."),
]


@pytest.mark.parametrize("error", OUT_OF_MEMORY)
def test_whoever_finds_no_room_is_understood(error):
    assert is_out_of_memory(error)


@pytest.mark.parametrize(
    "error", [RuntimeError("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED"), ValueError("out of memory"), MemoryError()]
)
def test_another_error_is_no_reason_to_try_again(error):
    calls = []

    def fail(max_tokens):
        calls.append(max_tokens)
        raise error

    assert not is_out_of_memory(error)
    with pytest.raises(type(error)):
        PassLimit(1000).fit(fail, lambda: None, most=80, least=10)
    assert calls == [1000]


@given(st.data())
def test_every_example_is_answered_once_whatever_fits(data):
    lengths = data.draw(st.lists(st.lists(st.integers(1, 20), min_size=1, max_size=4), min_size=1, max_size=20))
    rows = [[Row(([0] * length,)) for length in of_example] for of_example in lengths]
    prompt, size = data.draw(st.integers(0, 5)), data.draw(st.integers(1, 30))
    room = data.draw(st.integers(1, 60))  # sequences
    error = data.draw(st.sampled_from(OUT_OF_MEMORY))
    answered = []

    def answer(batch):
        if len(batch) > 1 and sum(len(rows[i]) for i in batch) > room:
            raise error
        answered.extend(batch)
        return [i * 10 for i in batch]

    limit = PassLimit(float("inf"))
    assert limit.batch(answer, rows, size, prompt) == [i * 10 for i in range(len(rows))]
    assert sorted(answered) == list(range(len(rows)))


def test_what_not_even_one_example_fits_is_raised():
    def answer(batch):
        raise OUT_OF_MEMORY[1]

    with pytest.raises(RuntimeError, match="CUBLAS"):
        PassLimit(float("inf")).batch(answer, [[Row(([0] * 5,))]] * 9, 8, 3)
