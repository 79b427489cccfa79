"""Threads on busy cores are detected by their processor time and logged once."""

import time

import pytest
import torch

from rpt.data.rows import warn_once
from rpt.training.engine.threads import STEPS, ThreadWatch
from tests.training.runs import fitted, prepared

BUSY, FREE = 0.8, 1.9  # seconds that two threads computed in one second


@pytest.fixture(autouse=True)
def nothing_said_before():
    warn_once.cache_clear()


@pytest.mark.parametrize(
    ("device", "threads", "processor", "said"),
    [("cpu", 2, BUSY, 1), ("cpu", 2, FREE, 0), ("cpu", 1, 0.4, 0), ("cuda", 2, 0.1, 0), ("cpu", 8, 3.5, 1)],
)
def test_threads_that_wait_are_told_apart_from_those_that_compute(
    monkeypatch, caplog, device, threads, processor, said
):
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    for _ in range(2):  # packs of a sweep
        watch = ThreadWatch(torch.device(device))
        for _ in range(STEPS + 1):
            watch.note_step(1.0, processor)
    assert [message.partition(":")[0] for message in caplog.messages] == (
        [f"{threads} threads have had less than half of their cores' time"] * said
    )
    assert all("set OMP_NUM_THREADS=1" in message for message in caplog.messages)


def test_a_pack_watches_its_steps(configure, tiny_backbone, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    monkeypatch.setattr(time, "process_time", lambda: 0.0)
    config = configure("task=cb", "data.shots=4", f"trainer.max_steps={STEPS}", "trainer.eval_every=99")
    fitted(tiny_backbone, prepared(config, tiny_backbone, tmp_path, evaluated=2))
    assert sum("set OMP_NUM_THREADS=1" in message for message in caplog.messages) == 1
