"""The contestants of a setting and their results."""

from __future__ import annotations

import gc
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from benchmarking.measuring import Contestant
from rpt.errors import describe_error


class Field:
    """The remaining contestants, and the results of all. A contestant that fails leaves, and its results become
    `{"failed": why}`; the others continue."""

    def __init__(self) -> None:
        self.contestants: dict[str, Contestant] = {}
        self.results: dict[str, dict[str, Any]] = {}

    def enter(self, name: str, make: Callable[[], Contestant]) -> None:
        self.results[name] = {"train": [], "evaluate": []}
        with self.attempt(name):
            self.contestants[name] = make()

    def leave(self) -> None:
        """Remove all contestants; results stay."""
        self.contestants.clear()
        free_memory()

    def __iter__(self) -> Iterator[tuple[str, Contestant]]:
        return iter(list(self.contestants.items()))

    @contextmanager
    def attempt(self, name: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self.results[name] = {"failed": describe_failure(error)}
        if "failed" in self.results[name]:  # not in the handler, whose exception keeps the memory alive
            self.contestants.pop(name, None)
            free_memory()


def describe_failure(error: Exception) -> str:
    """One line; prints the traceback."""
    traceback.print_exception(error)
    return describe_error(error)[:200]


def free_memory() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
