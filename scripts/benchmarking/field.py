"""The contestants of a setting, and what is found of each."""

from __future__ import annotations

import gc
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from benchmarking.measuring import Contestant


class Field:
    """Who is still in, and what was found of all. One that fails is out and leaves `{"failed": why}`, whatever it had
    before; the others go on."""

    def __init__(self) -> None:
        self.contestants: dict[str, Contestant] = {}
        self.found: dict[str, dict[str, Any]] = {}

    def enter(self, name: str, make: Callable[[], Contestant]) -> None:
        self.found[name] = {"train": [], "evaluate": []}
        with self.attempt(name):
            self.contestants[name] = make()

    def leave(self) -> None:
        """All of them; what was found stays."""
        self.contestants.clear()
        free_memory()

    def __iter__(self) -> Iterator[tuple[str, Contestant]]:
        return iter(list(self.contestants.items()))

    @contextmanager
    def attempt(self, name: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self.found[name] = {"failed": describe_failure(error)}
        if "failed" in self.found[name]:  # outside of the handler, whose exception holds on to the memory
            self.contestants.pop(name, None)
            free_memory()


def describe_failure(error: Exception) -> str:
    """One line; the rest goes to the terminal."""
    traceback.print_exception(error)
    said = str(error).strip().splitlines()
    return f"{type(error).__name__}: {said[0][:200]}" if said else type(error).__name__


def free_memory() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
