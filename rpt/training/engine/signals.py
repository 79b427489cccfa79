"""SIGTERM and Ctrl-C save first."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_catching: list[list[int]] = []  # the signals caught by each open `catch_signals`


class Interrupted(SystemExit):
    """A signal ended the process after every active run of the sweep was saved."""


@contextmanager
def catch_signals(react: Callable[[list[int]], None]) -> Iterator[list[int]]:
    """Collect SIGTERM and SIGINT instead of ending; each signal calls `react` with all signals so far."""
    caught: list[int] = []
    _catching.append(caught)

    def handler(number: int, _: object) -> None:
        caught.append(number)
        react(caught)

    numbers = (signal.SIGTERM, signal.SIGINT)
    try:
        before = {number: signal.signal(number, handler) for number in numbers}
    except ValueError:  # not the main thread (under a launcher): only that can catch signals
        before = {}
    try:
        yield caught
    finally:
        for number, old in before.items():
            signal.signal(number, old)
        _catching.pop()


def interrupt_once() -> None:
    """Raise SIGTERM, unless a signal has come already: some are sent to all processes of a group."""
    if not any(_catching):
        os.kill(os.getpid(), signal.SIGTERM)
