"""Smaller passes once memory runs out. It holds for training, evaluating and serving."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch

from rpt.backbones.rows import Row, batch_examples

log = logging.getLogger(__name__)
Result = TypeVar("Result")
# torch raises its own class where its allocator finds no room, and a plain RuntimeError where a library does not.
WORDS = ("out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED", "CUSOLVER_STATUS_ALLOC_FAILED",
         "CUSPARSE_STATUS_ALLOC_FAILED", "DefaultCPUAllocator: can't allocate memory")  # fmt: skip


def is_out_of_memory(error: BaseException) -> bool:
    """Whether the error says that a device's memory has run out."""
    if isinstance(error, torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(phrase in str(error) for phrase in WORDS)


class PassLimit:
    """The most tokens of a pass, padding included; fewer once the device's memory has run out.

    Args:
        max_tokens: at first.
    """

    def __init__(self, max_tokens: float):
        self.max_tokens = max_tokens

    def fit(self, run_passes: Callable[[float], Result], forget: Callable[[], None], most: int, least: int) -> Result:
        """What `run_passes` gives, asked again with half as many tokens a pass each time that memory runs out.

        Args:
            forget: lets go of what a failed try has left behind.
            most: tokens of the largest pass that there could be.
            least: tokens to which passes are cut at most; no smaller limit would cut them further.

        Raises:
            RuntimeError: a single row is too much; of the kind that `is_out_of_memory` knows.
        """
        while True:
            try:
                return run_passes(self.max_tokens)
            except RuntimeError as error:
                if self.max_tokens <= least or not is_out_of_memory(error):
                    raise
            self.max_tokens = min(self.max_tokens, most) // 2
            forget()  # outside of the handler, whose exception holds on to the memory
            torch.cuda.empty_cache()
            log.warning("Out of memory; passes of at most %d tokens from here on.", self.max_tokens)

    def batch(
        self, answer: Callable[[list[int]], list[Result]], rows: Sequence[Sequence[Row]], size: int, prompt_length: int
    ) -> list[Result]:
        """What `answer` gives for every example, asked for those of one batch at a time; a batch that memory does not
        hold is made smaller, and so are those after it.

        Args:
            answer: takes the indices of the examples.
            rows: of each example.
            size: sequences of a batch, at most.
            prompt_length: tokens before each sequence.

        Raises:
            RuntimeError: a single example is too much; of the kind that `is_out_of_memory` knows.
        """
        results: dict[int, Result] = {}

        def answer_rest(max_tokens: float) -> None:
            rest = [i for i in range(len(rows)) if i not in results]
            for places in batch_examples([rows[i] for i in rest], size, prompt_length, max_tokens):
                batch = [rest[place] for place in places]
                results.update(zip(batch, answer(batch), strict=True))

        lengths = [prompt_length + row.length for of_example in rows for row in of_example]
        self.fit(answer_rest, lambda: None, size * max(lengths, default=0), min(lengths, default=0))
        return [results[i] for i in range(len(rows))]
