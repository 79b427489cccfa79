"""Packs as jobs of submitit and Ray: the records of a plain sweep, though a worker dies in the middle."""

import importlib.util
from concurrent.futures import Future

import numpy as np
import pytest

from rpt.config import Config
from rpt.errors import UsageError
from rpt.training.sweep import jobs
from rpt.training.sweep.jobs import Engine, open_engine, split_into_packs, train_in_jobs
from rpt.training.sweep.outcomes import Score
from tests import processes
from tests.config.test_grids import QUICK, outcomes

AXES = ["task=cb", "lr=0.01,0.3", "prompt.length=4", "pack.max_runs=2", "trainer.max_steps=6"]
# A module for plugins=[dying]: the first process that comes to its fourth step is killed there.
DYING = """
import os, signal
from rpt.training.engine.pack import Pack
steps, train = [], Pack.train
def train_or_die(pack, bar):
    steps.append(1)
    if len(steps) == 4:
        try:
            open("died", "x")
        except FileExistsError:
            pass
        else:
            os.kill(os.getpid(), signal.SIGKILL)
    return train(pack, bar)
Pack.train = train_or_die
"""
RAY = ["num_cpus=2", "include_dashboard=false", "object_store_memory=80000000", "log_to_driver=true"]
ENGINES = {
    "local": ["pack.on=local", "hydra.launcher.job.timeout_min=5", "hydra.launcher.job.stderr_to_stdout=true"],
    "ray": ["pack.on=ray", *(f"hydra.launcher.ray.{word}" for word in RAY)],
}


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("engine", list(ENGINES))
def test_a_sweep_of_jobs_has_what_a_plain_sweep_has(tmp_path, miniature, tiny, engine, monkeypatch):
    if engine == "ray" and importlib.util.find_spec("ray") is None:
        pytest.skip("ray is not installed")
    monkeypatch.setenv("RAY_DEDUP_LOGS", "0")  # each line is counted
    monkeypatch.setenv("RAY_agent_register_timeout_ms", "300000")
    (tmp_path / "dying.py").write_text(DYING)
    overrides = [*(word for word in miniature if not word.startswith("results=")), tiny, *QUICK[:1], *AXES, *QUICK[3:]]
    plain = processes.start("rpt.train", ["-m", *overrides, "results=plain"], tmp_path).wait(240)
    packed = ["hydra/launcher=packed", *ENGINES[engine], "plugins=[dying]", "results=jobs"]
    sweep = processes.start("rpt.train", ["-m", *overrides, *packed], tmp_path).wait(500)
    assert (plain.returncode, sweep.returncode) == (0, 0), sweep
    assert (tmp_path / "died").exists() and "its runs are handed in again" in sweep.stdout
    assert "sweep of 2 runs: 2 trained" in sweep.stdout
    logs = [path.read_text() for path in tmp_path.glob("outputs/**/*.out")]
    assert "".join([sweep.stdout, sweep.stderr, *logs]).count("goes on from step 3") == 2
    expected, actual = outcomes(tmp_path / "plain"), outcomes(tmp_path / "jobs")
    assert len(expected) == 2 and actual.keys() == expected.keys()
    for run, (told, _, prompt) in expected.items():
        assert (actual[run][0]["scores"], actual[run][0]["trained_rows"]) == (told["scores"], told["trained_rows"])
        assert np.allclose(actual[run][2], prompt, atol=1e-3)
    assert not list(tmp_path.rglob(".lock")) and not list(tmp_path.rglob("checkpoint*"))


def test_a_job_that_ends_without_results_is_handed_in_again_three_times_in_all(monkeypatch):
    """And the outcomes are in the order of the runs."""
    monkeypatch.setattr(jobs, "POLL", 0)
    configs, handed_in = [Config(seed=seed) for seed in range(4)], []

    def submit(part, *others):
        seeds = [config.seed for config in part]
        handed_in.append(seeds)
        job = Future()
        if 3 in seeds or handed_in == [[2, 0]]:
            job.set_exception(EOFError("the node has died\nfor good"))
        else:
            job.set_result([Score(float(seed)) for seed in seeds])
        return job

    engine = Engine(submit, at_once=1)
    *scores, failed = train_in_jobs(configs, [[2, 0], [3], [1]], engine, print)
    assert scores == [0, 1, 2] and str(failed) == ("A job ended without results (EOFError: the node has died), 3 times")
    assert sorted(handed_in) == [[1], [2, 0], [2, 0], [3], [3], [3]]


def test_what_an_engine_does_not_take_is_named(tmp_path):
    with pytest.raises(UsageError, match="pack.on=local cannot be used .*timout_min.*change hydra.launcher.job"):
        open_engine("local", {"timout_min": 5}, {}, tmp_path, 1)
    with pytest.raises(UsageError, match="gpus_per_node=4: a job trains one pack, in one process on one GPU; give 1"):
        open_engine("slurm", {"gpus_per_node": 4}, {}, tmp_path, 1)


def test_runs_are_split_by_what_they_share(configure):
    configs = [configure("task=cb", f"seed={seed}") for seed in range(3)]
    configs += [configure("task=rte"), configure("task=cb", "method=bitfit")]
    assert split_into_packs(configs, 2) == [[0, 1], [2], [3], [4]]
    assert split_into_packs(configs, None) == [[0, 1, 2], [3], [4]]
