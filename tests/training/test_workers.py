"""How many processes share a sweep, and what comes back from them."""

import multiprocessing
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch

from rpt.errors import UsageError
from rpt.training import workers
from rpt.training.workers import _make_sendable, _own_bar_line, _receive


@pytest.mark.parametrize(
    "asked, runs, cores, cuda, expected",
    [
        (None, 9, 4, False, 4),
        (None, 3, 4, False, 3),
        (None, 9, 4, True, 1),
        (2, 9, 4, True, 2),
        (None, 9, 64, False, 6),
    ],
)
def test_a_core_each_as_far_as_runs_and_memory_go(monkeypatch, asked, runs, cores, cuda, expected):
    monkeypatch.setattr(torch, "get_num_threads", lambda: cores)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(workers.psutil, "virtual_memory", lambda: SimpleNamespace(total=6 * workers.BYTES))
    assert workers.count_processes(asked, runs) == expected


class Awkward(Exception):
    """Cannot be made again from its message."""

    def __init__(self, one, two):
        super().__init__(f"{one} and {two}")


def test_what_comes_back_from_a_process():
    receiver, sender = multiprocessing.Pipe(duplex=False)
    sender.send([_make_sendable(each) for each in (0.5, UsageError("no such file"), Awkward(1, 2))])
    score, refused, failed = _receive(None, receiver, 3)
    assert score == 0.5 and isinstance(refused, UsageError) and str(failed) == "Awkward: 1 and 2"


def test_a_process_that_dies_is_told_with_a_remedy():
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=exit, args=(3,))
    child.start()
    sender.close()
    outcomes = _receive(child, receiver, 2)
    assert len(outcomes) == 2 and "ended with code 3 before its 2 runs were over" in str(outcomes[0])


def test_a_process_shows_its_bars_on_its_own_line():
    code = "import io; from tqdm import tqdm; print(tqdm(total=1, file=io.StringIO()).pos)"
    with _own_bar_line(3):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "-3" and "TQDM_POSITION" not in os.environ  # tqdm counts lines downwards
