"""How many processes share a sweep, and what comes back from them."""

import multiprocessing
import os
import queue
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch

from rpt.backbones.device import measure_free_memory
from rpt.config import Config
from rpt.errors import UsageError
from rpt.training.sweep import memory, workers
from rpt.training.sweep.workers import _receive, environment_of, make_sendable, train_in_processes


@pytest.fixture
def gpus(monkeypatch):
    """gpus(2, "5,7"): torch finds so many, and this is what CUDA_VISIBLE_DEVICES says of them."""

    def listed(count, visible=None):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        if visible is not None:
            monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)

    return listed


@pytest.mark.parametrize(
    "asked, runs, cores, devices, expected",
    [
        (None, 9, 4, 0, 4),
        (None, 3, 4, 0, 3),
        (None, 9, 64, 0, 6),
        (None, 9, 4, 1, 1),
        (2, 9, 4, 1, 2),
        (None, 9, 4, 3, 3),
        (None, 2, 4, 3, 2),
        (5, 9, 4, 3, 5),
    ],
)
def test_a_gpu_or_a_core_each_as_far_as_runs_and_memory_go(monkeypatch, gpus, asked, runs, cores, devices, expected):
    gpus(devices)
    monkeypatch.setattr(torch, "get_num_threads", lambda: cores)
    monkeypatch.setattr(workers.psutil, "virtual_memory", lambda: SimpleNamespace(total=6 * workers.BYTES))
    assert workers.count_processes(asked, runs) == expected


@pytest.mark.parametrize(
    "count, visible, processes, seen, sharers",
    [
        (2, None, 5, ["0", "1", "0", "1", "0"], [3, 2, 3, 2, 3]),
        (4, None, 2, ["0", "1"], [1, 1]),
        (2, "5,7", 3, ["5", "7", "5"], [2, 1, 2]),
        (2, "GPU-8a,MIG-b1", 2, ["GPU-8a", "MIG-b1"], [1, 1]),
        (1, "3,-1,4", 2, ["3", "3"], [2, 2]),  # CUDA stops at what it does not know
        (1, None, 3, ["0", "0", "0"], [3, 3, 3]),
        (0, None, 2, [None, None], [1, 1]),
        (0, "", 2, ["", ""], [1, 1]),  # as the user says: no GPU
    ],
)
def test_processes_are_dealt_out_to_the_gpus(monkeypatch, gpus, count, visible, processes, seen, sharers):
    """Each sees one, from before it imports torch, and knows how many others are there."""
    gpus(count, visible)
    passed, before = [], dict(os.environ)

    class Process:
        exitcode, pid = 0, None

        def __init__(self, target, args):
            self.sender, self.configs, _, self.sharers, *_ = args

        def start(self):  # what a spawned process has for its environment is what this one has now
            passed.append((os.environ.get("CUDA_VISIBLE_DEVICES"), os.environ["TQDM_POSITION"], self.sharers))
            self.sender.put([float(config.seed) for config in self.configs])

    def pipe(duplex):
        way = queue.Queue()
        return SimpleNamespace(recv=way.get), SimpleNamespace(put=way.put, close=lambda: None)

    context = SimpleNamespace(RLock=lambda: None, Pipe=pipe, Process=Process)
    monkeypatch.setattr(workers.multiprocessing, "get_context", lambda _: context)
    configs = [Config(seed=seed) for seed in range(7)]
    for config in configs:
        config.backbone.name = config.task.name = "any"
    assert train_in_processes(configs, 4, processes, print) == list(range(7))
    assert passed == [(gpu, str(n), shared) for n, (gpu, shared) in enumerate(zip(seen, sharers, strict=True))]
    assert dict(os.environ) == before


def test_processes_on_one_gpu_have_equal_parts_of_its_memory(configure, nano, monkeypatch):
    """Also where all of it is still free, as when they start at the same moment."""
    total, taken = 80 * 2**30, 2 * 2**30
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda: taken)

    def room(free, sharers):
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (free, total))
        return measure_free_memory(sharers)

    assert room(total - taken, 1) == total - taken
    assert room(total - 2 * taken, 4) == total // 4 - taken
    assert room(2**30, 4) == 2**30  # somebody else has the rest
    monkeypatch.setattr(type(nano), "device", torch.device("cuda"))
    monkeypatch.setattr(memory, "measure_kept_bytes", lambda *_: 2**20)
    config = configure("task=cb")
    room(total - taken, 1)
    alone, shared = (memory.choose_max_tokens(config, nano, sharers) for sharers in (1, 4))
    assert 0 < shared < alone / 4


class Awkward(Exception):
    """Cannot be made again from its message."""

    def __init__(self, one, two):
        super().__init__(f"{one} and {two}")


def test_what_comes_back_from_a_process():
    receiver, sender = multiprocessing.Pipe(duplex=False)
    sender.send([make_sendable(each) for each in (0.5, UsageError("no such file"), Awkward(1, 2))])
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


def test_a_process_shows_its_bars_on_its_own_line(gpus):
    gpus(0)
    code = "import io; from tqdm import tqdm; print(tqdm(total=1, file=io.StringIO()).pos)"
    with environment_of(3):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "-3" and "TQDM_POSITION" not in os.environ  # tqdm counts lines downwards
