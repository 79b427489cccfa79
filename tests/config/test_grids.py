"""Experiments: the grid that is laid out is the grid that Hydra trains; sweeps that are killed, or started twice."""

import functools
import json
import random
import signal
import time
from collections import Counter

import psutil
import pytest
import yaml
from safetensors.torch import load_file

from rpt.config import compose, to_config
from rpt.config.grids import SCALES, Grids, names
from rpt.config.mistakes import explained_mistakes
from rpt.data import task_for
from rpt.data.sources import read_examples
from rpt.data.splits import split_examples
from rpt.errors import UsageError
from rpt.training.sweep.preflight import check
from tests import processes

open_grids = functools.cache(Grids)

# A corner of figure 4's grid, made small.
CORNER = ["-m", "+experiment=figure4", "scale=mini", "task=cb", "prompt=residual", "prompt.length=4"]
QUICK = [
    "data.shots=8",
    "trainer.epochs=3",
    "trainer.eval_every=5",
    "trainer.checkpoint_every=1",
    "backbone.max_tokens=40",
]


@pytest.mark.parametrize(
    "scale", [pytest.param(entry, marks=[pytest.mark.slow] * (entry != "mini")) for entry in SCALES]
)
@pytest.mark.parametrize("name", names())
def test_every_run_laid_out_is_what_hydra_composes(name, scale):
    grid = open_grids(scale).lay_out(name)
    assert len(grid.jobs) == len(set(grid.jobs)) and len(grid.axes["seed"]) == 3
    for point in random.Random(name).sample(list(grid.jobs), 1):
        at, variant = dict(zip(grid.axes, point, strict=True)), grid.jobs[point].variant
        # Encoders and methods may have their own.
        for budget in ("epochs", "max_steps", "patience", "batch_size", "head_lr"):
            at[f"trainer.{budget}"] = getattr(grid.jobs[point].trainer, budget) or "null"
        if not grid.jobs[point].tunes_prompt:
            at |= {"method": at.pop("prompt")}
            del at["prompt.length"]
        assert variant in (at.get("method"), at.get("prompt"))
        overrides = [f"{key}={value}" for key, value in at.items()]
        overrides += ["data.dir=."] if scale == "laptop" else []
        composed = to_config(compose("train", [f"+experiment={name}", f"scale={scale}", *overrides]))
        check(composed)
        composed.data.dir = None
        assert composed == grid.jobs[point]
        embedded = composed.backbone.name in ("nano", "nano_bert")
        assert (composed.data.name == "mini") == embedded == (scale == "mini")
        assert (composed.backbone.package is not None) == (scale == "laptop")


def test_axes_can_be_given_anew():
    grid = Grids("mini", ["task=cb,wic", "lr=0.3", "trainer.epochs=2"]).lay_out("figure4")
    assert grid.axes["task"] == ("cb", "wic") and grid.axes["lr"] == ("0.3",) and len(grid.jobs) == 2 * 2 * 3
    assert {config.trainer.epochs for config in grid.jobs.values()} == {2}


def test_axes_are_read_as_hydra_sweeps_them():
    axes = Grids("mini", ["task=glob(w*)", "seed=range(2)", "lr=choice(0.3,1)"]).lay_out("figure4").axes
    assert (axes["task"], axes["seed"], axes["lr"]) == (("wic", "wsc"), ("0", "1"), ("0.3", "1"))
    for word, message in (("trainer.epoch=3", "did you mean trainer.epochs"), ("~lr", "~lr removes a key")):
        with pytest.raises(UsageError, match=message):
            Grids("mini", [word]).lay_out("figure4")


def test_a_budget_may_depend_on_the_task():
    assert budgets(open_grids("mini").lay_out("table1")) == {("boolq", 60), ("cb", 60), ("copa", 120), ("wsc", 120)}
    assert budgets(Grids("mini", ["task=wsc", "trainer.epochs=2"]).lay_out("figure4")) == {("wsc", 2)}
    chosen = Grids("mini", ["task=cb,wsc", "trainer=default,paper"]).lay_out("table5")
    assert budgets(chosen) == {("cb", 60), ("wsc", 120)}
    assert {config.trainer.name for config in chosen.jobs.values()} == {"default", "paper"}
    composed = compose("train", [])
    composed.trainer.epochs = "${by_task:60,{winograd: 120}}"
    said = "by_task names winograd, which is no task; choose from: boolq, cb"
    with pytest.raises(UsageError, match=said), explained_mistakes():
        to_config(composed)


def budgets(grid):
    return {(config.task.name, config.trainer.epochs) for config in grid.jobs.values()}


@pytest.mark.parametrize("scale", ["mini", pytest.param("laptop", marks=pytest.mark.slow)])
def test_few_shot_grids_have_so_many_rows_of_each_label(scale, request):
    overrides = [f"data.dir={request.getfixturevalue('shared') / 'superglue'}"] if scale == "laptop" else []
    # Other seeds and prompts have the same rows.
    for config in Grids(scale, ["seed=0", "prompt=residual", *overrides]).lay_out("figure5").jobs.values():
        task = task_for(config)
        rows = split_examples(read_examples(config.data, task), task, config.data, config.protocol).train
        assert set(Counter(row.label for row in rows).values()) == {config.data.shots}


def test_an_unknown_name_is_named_with_the_choices():
    with pytest.raises(UsageError, match="no experiment figure9; choose one of: table1, .*figure6"):
        Grids().lay_out("figure9")
    with pytest.raises(UsageError, match="no scale huge; choose one of: paper, laptop, mini"):
        Grids("huge")


def test_an_experiment_is_a_sweep(command):
    done = command("+experiment=figure4", "scale=mini")
    assert done.returncode == 2 and "add -m" in done.stderr and "Traceback" not in done.stderr


def outcomes(folder):
    """What every record of a sweep says, without times and machine, and its prompt."""
    actual = {}
    for path in folder.rglob("result.json"):
        result = json.loads(path.read_text())
        told = {key: result[key] for key in ("status", "scores", "best", "last", "steps", "trained_rows")}
        prompt = load_file(path.parent / "prompt.safetensors")["prompt_embeddings"]
        actual[result["id"]] = told, (path.parent / "metrics.jsonl").read_text(), prompt.tolist()
        yaml.safe_load((path.parent / "config.yaml").read_text())
        json.loads((path.parent / "predictions.json").read_text())
    return actual


@pytest.fixture
def start(tmp_path, miniature, tiny):
    def started(results, *axes, begin=processes.start):
        cache = [word for word in miniature if word.startswith("data.cache")]
        where = [*cache, tiny, f"results={tmp_path / results}"]
        overrides = {word.partition("=")[0]: word for word in (*CORNER, *QUICK, *where, *axes)}  # no key twice
        return begin("rpt.train", list(overrides.values()), tmp_path)

    return started


@pytest.mark.slow
def test_a_killed_sweep_goes_on_and_two_at_once_share_it(start, tmp_path):
    axes = ["lr=0.01,0.1,0.3", "seed=0"]
    unbroken = start("unbroken", *axes).wait(240)
    expected = outcomes(tmp_path / "unbroken")
    assert unbroken.returncode == 0 and len(expected) == 3, unbroken

    killed = start("killed", *axes)
    deadline = time.monotonic() + 120
    while len(list(tmp_path.glob("killed/**/result.json"))) < 1 and time.monotonic() < deadline:
        time.sleep(0.01)
    killed.send_signal(signal.SIGKILL)
    killed.wait(60)
    before = outcomes(tmp_path / "killed")
    assert 1 <= len(before) < 3
    both = [start("killed", *axes), start("killed", *axes)]
    ended = [process.wait(240) for process in both]
    assert [one.returncode for one in ended] == [0, 0], ended
    assert outcomes(tmp_path / "killed") == expected
    said = "".join(one.stdout for one in ended)
    assert said.count("trained in all") == len(expected) - len(before)  # what a run says once, when it starts to train
    assert not list(tmp_path.rglob(".lock")) and not list(tmp_path.rglob("checkpoint*"))


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["joblib", "submitit_local"])
def test_a_launcher_s_workers_end_with_the_command(start, tmp_path, launcher):
    """Asked to end, it ends after its workers, each of which has saved its run; the same command goes on from there."""
    overrides = [f"hydra/launcher={launcher}", "lr=0.1", "seed=0", "trainer.epochs=4000", "trainer.checkpoint_every=1"]
    sweep = start("out", *overrides)
    deadline = time.monotonic() + 200
    while not list(tmp_path.glob("out/**/checkpoint.safetensors")) and time.monotonic() < deadline:
        time.sleep(0.05)
    children = psutil.Process(sweep.process.pid).children(recursive=True)
    sweep.send_signal(signal.SIGTERM)
    assert sweep.wait(60).returncode == 128 + signal.SIGTERM
    assert not psutil.wait_procs(children, timeout=10)[1]
    (checkpoint,) = tmp_path.glob("out/**/checkpoint.safetensors")
    again = start("out", *overrides, "trainer.max_steps=1", "hydra/launcher=basic")
    assert again.wait(120).returncode == 0 and checkpoint.exists()


fork_children = functools.partial(processes.start, fork_children=True)
# A module for plugins=[paused]: each process trains three steps and waits for a signal, however slow the others are.
PAUSED = """
import time
from rpt.training.engine import signals
from rpt.training.engine.pack import Pack
steps, train = [], Pack.train
def train_or_wait(pack, bar):
    steps.append(1)
    while len(steps) > 3 and not any(signals._catching):
        time.sleep(0.01)
    return train(pack, bar)
Pack.train = train_or_wait
"""


@pytest.mark.slow
def test_a_packed_sweep_in_two_processes(start, tmp_path):
    """Killed, its children end with it; asked to end, it saves its runs; in the end it has what one process has."""
    axes = ["lr=0.01,0.1,0.3", "seed=0", "trainer.epochs=7", "trainer.eval_every=5", "pack.max_runs=2"]
    one = start("one", *axes, "hydra/launcher=packed")
    (tmp_path / "paused.py").write_text(PAUSED)

    def checkpoints():
        return {(path, path.stat().st_mtime_ns) for path in tmp_path.glob("two/**/checkpoint.safetensors")}

    for ending in (signal.SIGKILL, signal.SIGTERM):
        seen, deadline = checkpoints(), time.monotonic() + 120
        packed = ["hydra/launcher=packed", "pack.processes=2", "plugins=[paused]"]
        sweep = start("two", *axes, *packed, begin=fork_children)
        while sweep.process.is_alive() and time.monotonic() < deadline:  # until each run has written a checkpoint
            if len({path for path, _ in checkpoints() - seen}) == 3:
                break
            time.sleep(0.01)
        assert sweep.process.is_alive(), sweep.wait(1)
        children = psutil.Process(sweep.process.pid).children(recursive=True)
        if ending == signal.SIGTERM:  # as a scheduler does, which sends it to every process
            for child in children:
                child.send_signal(ending)
        sweep.send_signal(ending)
        ended = sweep.wait(60)
        _, left = psutil.wait_procs(children, timeout=30)
        assert not left
        assert ended.returncode == (-ending if ending == signal.SIGKILL else 128 + ending), ended
        assert ("every run is saved" in ended.stdout + ended.stderr) == (ending == signal.SIGTERM)
    ended = start("two", *axes, "hydra/launcher=packed", "pack.processes=2").wait(240)
    assert ended.returncode == 0 and ended.stdout.count("goes on from step") == 3, ended
    assert one.wait(240).returncode == 0 and len(outcomes(tmp_path / "one")) == 3
    assert outcomes(tmp_path / "two") == outcomes(tmp_path / "one")
    assert not list(tmp_path.rglob(".lock")) and not list(tmp_path.rglob("checkpoint*"))
