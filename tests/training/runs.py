"""Prepare runs for a pack, and train them."""

from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest
import torch

from rpt.records.run_folder import RunFolder
from rpt.training.engine.pack import Pack
from rpt.training.run.loader import Loader
from rpt.training.run.prepare import make_training_run

LOADER = Loader()  # of rows
SHORT = ["data.shots=8", "trainer.max_steps=4", "trainer.eval_batch_size=128"]


def prepared(config, backbone, folder, evaluated=None):
    """evaluated: evaluate only so many rows, for tests that do not look at scores."""
    run = make_training_run(config, LOADER.rows(config), backbone, RunFolder(Path(folder)))
    run.select = run.select.pick(range(len(run.select.rows))[:evaluated])
    return run


def fitted(backbone, *runs):
    """The runs in the order in which they ended."""
    return list(Pack(backbone, max_runs=len(runs)).fit(iter(runs)))


def first_gradients(backbone, *runs):
    """Of each run's parameters in the first step. Compared instead of the parameters after some steps, because
    AdamW's first steps are as large for a gradient of rounding noise as for any other."""
    pack = Pack(backbone)
    pack.join(list(runs))
    for stack in pack.stacks:
        stack.optimizer.step = stack.optimizer.zero_grad = lambda: None
    pack.step()
    actual = {
        run: {name: parameter.grad[r] for name, parameter in stack.parameters.items()}
        for stack in pack.stacks
        for r, run in enumerate(stack.runs)
    }
    for run in runs:
        run.progress.step = 0
    return [actual[run] for run in runs]


def assert_gradients_close(ones, others):
    for name, gradient in ones.items():
        scale = gradient.abs().max().item()
        torch.testing.assert_close(
            gradient, others[name], rtol=1e-3, atol=1e-4 * scale + 1e-7, msg=lambda m, n=name: f"{n}: {m}"
        )


@contextmanager
def crash_at(monkeypatch, step):
    """Inside, the pack's step of that number, from 0, leaves at once, as a kill would: no record, no further
    checkpoint."""
    numbers, take = count(), Pack.step

    def take_or_crash(pack):
        if next(numbers) == step:
            raise KeyboardInterrupt
        return take(pack)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Pack, "step", take_or_crash)
        yield
