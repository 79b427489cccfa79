"""A run that is killed at any moment and started again ends with the numbers of an uninterrupted run."""

import functools
import json
import signal
import time

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save, save_file
from torch.amp import GradScaler

from rpt.errors import RecordError, UsageError
from rpt.train import train
from rpt.training.engine import pack as pack_module
from rpt.training.engine.pack import Pack
from rpt.training.run import prepare as prepare_module
from rpt.training.run.checkpoint import load_checkpoint
from tests import processes
from tests.conftest import tiny_t5
from tests.training.runs import crash_at, prepared

WORDS = [
    "task=cb",
    "data.shots=8",
    "trainer.epochs=3",
    "trainer.checkpoint_every=2",
    "lr=0.05",
    "trainer.accumulation=2",
    "backbone.max_tokens=64",
]
ONE_EPOCH = [*WORDS, "trainer.epochs=1"]


def outcome(folder):
    (result,) = folder.rglob("result.json")
    metrics = [json.loads(line) for line in (result.parent / "metrics.jsonl").read_text().splitlines()]
    scores = {key: json.loads(result.read_text())[key] for key in ("scores", "best", "last", "steps", "no_label")}
    return metrics, scores, load_file(result.parent / "prompt.safetensors")["prompt_embeddings"].tolist()


@pytest.fixture
def unbroken(configure, tmp_path):
    def run(*overrides):
        config = configure(*overrides)
        config.results = str(tmp_path / "unbroken")
        train(config)
        return outcome(tmp_path / "unbroken")

    return run


@pytest.mark.parametrize("prompt, steps", [("residual", [5]), pytest.param("lstm", [1, 4], marks=pytest.mark.slow)])
def test_a_crash_at_any_step_changes_nothing(
    configure, tiny, unbroken, tmp_path, monkeypatch, evaluate_few, prompt, steps
):
    """Also with dropout in LSTM or backbone, and with the published AdamW, whose eps depends on the step."""
    evaluate_few(24)
    overrides = [*WORDS, tiny, f"prompt={prompt}", "trainer.dropout=true", "trainer.adamw=transformers"]
    expected = unbroken(*overrides)
    for at in steps:
        config, folder = configure(*overrides), tmp_path / str(at)
        config.results = str(folder)

        with crash_at(monkeypatch, at):
            train(config)
        assert not list(folder.rglob("result.json"))
        train(config)
        assert outcome(folder) == expected, at
        (console,) = folder.rglob("console.log")  # goes on too
        said = console.read_text()
        assert said.count("trained in all") == 2 and said.count("majority") == 1
        assert ("goes on from step" in said) == (at > 2)
        assert not list(folder.rglob("checkpoint*"))


@pytest.mark.slow
def test_real_kills(miniature, tiny, unbroken, tmp_path):
    """Of one run, one after the other: at once, and as a scheduler asks for it."""
    overrides = [*WORDS, tiny, "trainer.epochs=12", "trainer.eval_every=6", "backbone.max_tokens=48"]
    expected = unbroken(*overrides)
    overrides = list({word.partition("=")[0]: word for word in [*miniature, *overrides]}.values())  # no key twice
    for number, code in ((signal.SIGKILL, -signal.SIGKILL), (signal.SIGTERM, 128 + signal.SIGTERM)):
        process = processes.start("rpt.train", overrides, tmp_path)
        seen = {path.stat().st_mtime_ns for path in (tmp_path / "results").rglob("checkpoint.safetensors")}
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:  # until this process has written a checkpoint of its own
            now = {path.stat().st_mtime_ns for path in (tmp_path / "results").rglob("checkpoint.safetensors")}
            if now - seen:
                break
            time.sleep(0.01)
        process.send_signal(number)
        ended = process.wait(60)
        assert ended.returncode == code, (number, ended)
        assert not list((tmp_path / "results").rglob("result.json"))
    done = processes.start("rpt.train", overrides, tmp_path).wait(240)
    assert done.returncode == 0 and "goes on from step" in done.stdout, done
    assert outcome(tmp_path / "results") == expected


def test_the_same_command_twice_trains_once(configure, tiny, tmp_path, monkeypatch):
    overrides = [*ONE_EPOCH, tiny]
    first = train(configure(*overrides))
    before = outcome(tmp_path / "results")

    def never(*_):
        raise AssertionError("trained again")

    monkeypatch.setattr(Pack, "fit", never)
    assert train(configure(*overrides)) == first
    with pytest.raises(AssertionError, match="trained again"):
        train(configure(*overrides, "force=true"))
    monkeypatch.undo()
    train(configure(*overrides, "force=true"))
    assert outcome(tmp_path / "results") == before


def test_force_goes_on_with_its_own_killed_run_and_loses_no_record_for_one_that_cannot_start(
    configure, tiny, tmp_path, monkeypatch, evaluate_few
):
    evaluate_few(8)
    overrides = [*ONE_EPOCH, tiny, "trainer.checkpoint_every=1"]
    train(configure(*overrides))
    before = outcome(tmp_path / "results")

    def refuse(*_):
        raise UsageError("W&B refuses it")

    def break_down(*_):
        raise RuntimeError("no room")

    for broken in (refuse, break_down):
        with monkeypatch.context() as patched, pytest.raises((UsageError, RuntimeError), match="W&B|no room"):
            patched.setattr(prepare_module, "start_tracker", broken)
            train(configure(*overrides, "force=true"))
        assert outcome(tmp_path / "results") == before
    with crash_at(monkeypatch, 1):
        train(configure(*overrides, "force=true"))
    assert not list(tmp_path.rglob("result.json"))
    train(configure(*overrides, "force=true"))
    (console,) = tmp_path.rglob("console.log")
    assert "goes on from step 1 of 2" in console.read_text() and outcome(tmp_path / "results") == before


def crashed(configure, monkeypatch, overrides):
    monkeypatch.setattr(pack_module.Pack, "evaluate", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        train(configure(*overrides))
    monkeypatch.undo()


def test_a_damaged_checkpoint_is_named_and_not_loaded(configure, tmp_path, monkeypatch):
    overrides = [*ONE_EPOCH, "trainer.checkpoint_every=1"]
    crashed(configure, monkeypatch, overrides)
    (path,) = tmp_path.rglob("checkpoint.safetensors")
    content, table = path.read_bytes(), load_file(path)["parameter.reparameterization.table"]
    for damaged in (content[: len(content) // 2], content[:-1] + bytes([content[-1] ^ 1]), save({"x": table})):
        path.write_bytes(damaged)
        with pytest.raises(UsageError, match=r"checkpoint\.safetensors is (damaged|from another).*resume=never"):
            train(configure(*overrides))
    assert train(configure(*overrides, "resume=never")) > 0


def test_a_checkpoint_of_another_version_is_not_called_damaged(configure, tmp_path, monkeypatch):
    overrides = [*ONE_EPOCH, "trainer.checkpoint_every=1"]
    crashed(configure, monkeypatch, overrides)
    (path,) = tmp_path.rglob("checkpoint.safetensors")
    with safe_open(path, "pt") as file:
        header = file.metadata()
    progress = json.dumps(json.loads(header["progress"]) | {"later": 1})
    save_file(load_file(path), path, metadata=header | {"progress": progress})
    with pytest.raises(UsageError, match="from another version of rpt: it has later; .* resume=never"):
        train(configure(*overrides))


def test_a_damaged_record_is_named_and_not_trusted(configure, tiny, tmp_path):
    train(configure(*ONE_EPOCH, tiny))
    (path,) = tmp_path.rglob("result.json")
    for content in ("", "{", "[]", '{"schema": 99}', '{"schema": 1, "status": "finished"}'):
        path.write_text(content)
        with pytest.raises(RecordError, match=r"result\.json"):
            train(configure(*ONE_EPOCH, tiny))


def test_the_loss_scale_of_fp16_goes_on_where_it_was(configure, tmp_path, monkeypatch):
    """With the number of steps since its last change; a checkpoint that is older than the key starts again."""
    monkeypatch.setattr(pack_module.torch.amp, "GradScaler", functools.partial(GradScaler, growth_interval=3))
    config = configure("task=cb", "data.shots=8", "trainer.epochs=4", "backbone.max_tokens=48", "prompt.length=3")
    backbone = tiny_t5(1.0)
    backbone.place(torch.device("cpu"), "fp16")  # which a processor computes as well

    def start(folder):
        run, pack = prepared(config, backbone, tmp_path / folder, evaluated=1), Pack(backbone)
        load_checkpoint(run)
        pack.join([run])
        return pack

    def scales(pack, steps):
        for _ in range(steps):
            pack.step()
            yield pack.scaler.get_scale(), pack.scaler.state_dict()["_growth_tracker"]

    unbroken = list(scales(start("unbroken"), 7))
    assert len(set(unbroken)) > 3
    broken = start("broken")
    before = list(scales(broken, 4))
    broken.save(*broken.active)
    assert [*before, *scales(start("broken"), 3)] == unbroken
    path = tmp_path / "broken" / "checkpoint.safetensors"
    with safe_open(path, "pt") as file:
        header = file.metadata()
    progress = json.loads(header["progress"])
    del progress["loss_scale"]
    save_file(load_file(path), path, header | {"progress": json.dumps(progress)})
    assert list(scales(start("broken"), 1)) == unbroken[:1]
