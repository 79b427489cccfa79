"""SIGTERM and Ctrl-C save first."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_catching: list[list[int]] = []  # what was caught in each `catch_signals` that is open


class Interrupted(SystemExit):
    """The process was asked to end; every run of the sweep that was under way was saved first."""


@contextmanager
def catch_signals(react: Callable[[list[int]], None]) -> Iterator[list[int]]:
    """Collect SIGTERM and SIGINT instead of dying of them; `react` is called with all so far each time one comes."""
    caught: list[int] = []
    _catching.append(caught)

    def handler(number: int, _: object) -> None:
        caught.append(number)
        react(caught)

    numbers = (signal.SIGTERM, signal.SIGINT)
    try:
        before = {number: signal.signal(number, handler) for number in numbers}
    except ValueError:  # not the main thread (a launcher's): signals are not ours to catch
        before = {}
    try:
        yield caught
    finally:
        for number, old in before.items():
            signal.signal(number, old)
        _catching.pop()


def interrupt_once() -> None:
    """What SIGTERM does, unless there was a signal already: many are sent to all processes of a group."""
    if not any(_catching):
        os.kill(os.getpid(), signal.SIGTERM)
