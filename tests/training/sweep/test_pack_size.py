"""How many runs train together is found by a trial, of which no run keeps a trace."""

import copy
import random
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from rpt.training.sweep import pack_size, sweep
from rpt.training.sweep.pack_size import DEFAULT_RUNS, choose_max_runs
from rpt.training.sweep.sweep import train_all
from rpt.training.sweep.workers import largest_pack
from tests.conftest import tiny_t5
from tests.training.runs import SHORT, prepared

LONG = ["task=cb", "trainer.epochs=40", "backbone.max_tokens=64", "prompt.length=3"]


@pytest.fixture
def run(configure, tiny_backbone, tmp_path):
    return prepared(configure(*LONG), tiny_backbone, tmp_path)


@pytest.mark.parametrize(
    ("rates", "one_step", "waiting", "tried", "chosen"),
    [
        ({1: 70.0, 2: 76.8, 4: 83.0, 8: 69.9, 16: 64.7}, 0.01, 30, 8, 4),  # as measured without bf16 units
        ({1: 100, 2: 120, 4: 140, 8: 160, 16: 180}, 0.01, 30, 16, 16),
        ({1: 100, 2: 120, 4: 140, 8: 160, 16: 180}, 0.01, 9, 8, 8),
        ({1: 100, 2: 101, 4: 99, 8: 102, 16: 100}, 0.01, 16, 16, DEFAULT_RUNS),  # all the same
        ({1: 100, 2: 80, 4: 60, 8: 50, 16: 40}, 0.01, 16, 4, 1),
        ({1: 100, 2: 120, 4: 140, 8: 160, 16: 180}, 0.4, 16, 8, 8),  # no time for the largest
        ({1: 100, 2: 120, 4: 140, 8: 160, 16: 180}, 5.0, 16, None, DEFAULT_RUNS),  # nor for any
        ({}, 0.01, 3, None, DEFAULT_RUNS),  # too few runs
    ],
)
def test_the_fastest_size_is_taken(run, tiny_backbone, monkeypatch, rates, one_step, waiting, tried, chosen):
    seen = []

    def time_steps(runs, backbone, max_tokens, batches):
        seen.append((len(runs), len(batches)))
        return one_step * len(batches) * rates[1] / rates[len(runs)]

    monkeypatch.setattr(pack_size, "time_steps", time_steps)
    assert choose_max_runs(run, tiny_backbone, waiting, 4096) == chosen
    assert max((runs for runs, batches in seen if batches > 1), default=None) == tried


def test_a_short_sweep_is_not_worth_a_trial(configure, tiny_backbone, tmp_path, monkeypatch):
    monkeypatch.delattr(pack_size, "try_sizes")
    short = prepared(configure("task=cb", *SHORT), tiny_backbone, tmp_path)
    assert choose_max_runs(short, tiny_backbone, 16, 4096) == DEFAULT_RUNS


@pytest.mark.parametrize("prompt", ["residual", "lstm"])  # the latter draws its dropout
def test_a_trial_leaves_no_trace(configure, tmp_path, monkeypatch, prompt):
    backbone = tiny_t5(1.0)
    run = prepared(configure(*LONG, f"prompt={prompt}"), backbone, tmp_path)
    monkeypatch.setattr(pack_size, "BATCHES", (2,))
    monkeypatch.setattr(pack_size, "SIZES", (1, 2))
    monkeypatch.setattr(pack_size, "DEFAULT_RUNS", 2)

    def state():
        values = {name: value.tolist() for name, value in run.parameters.items()}
        generators = torch.get_rng_state().tolist(), random.getstate(), np.random.get_state()[1].tolist()
        return copy.deepcopy((values, run.progress, run.moments, run.unread_losses, generators))

    before = state()
    assert choose_max_runs(run, backbone, 16, 4096) in (1, 2)
    assert state() == before and not list(tmp_path.rglob("*.*"))


def test_a_sweep_asks_for_a_trial_unless_it_is_told(configure, monkeypatch):
    waiting, sizes = [], []
    monkeypatch.setattr(sweep, "choose_max_runs", lambda run, backbone, number, _: waiting.append(number) or 7)
    monkeypatch.setattr(sweep, "Pack", lambda backbone, max_runs, *_: sizes.append(max_runs))  # which fails every run
    configs = [configure("task=cb", "data.shots=4", f"seed={seed}") for seed in range(2)]
    train_all(configs, None)
    assert waiting == [2, 1] and sizes == [7, 7]
    train_all(configs, 3)
    assert waiting == [2, 1] and sizes == [7, 7, 3, 3]


def test_a_single_run_that_leaves_it_open_leaves_it_open_for_all():
    packs = [SimpleNamespace(pack=SimpleNamespace(max_runs=most)) for most in (2, 8, None)]
    assert largest_pack(packs[:2]) == 8 and largest_pack(packs) is None
