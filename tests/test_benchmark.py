"""The benchmark: its floor counts what is computed, and its record holds what its table says."""

import dataclasses
import json
import os
import sys

import benchmark
import evaluation_rate
import gpu
import pytest
import torch
from benchmarking import settings
from benchmarking.measuring import profile_step
from torch.utils.flop_counter import FlopCounterMode

from tests.conftest import tiny_t5
from tests.processes import CONTEXT


def test_the_floor_is_forward_and_backward_of_activations():
    """Counted by hand: a frozen linear layer costs as much backward as forward, attention's products twice as much."""
    backbone = tiny_t5(1.0)
    backbone.model.set_attn_implementation("eager")  # the fused one computes its forward half again
    rows, prompt, text = 3, 5, 7
    d, ff, layers, tokens = 32, 64, 2, prompt + text
    prompts = torch.randn(rows, prompt, d, requires_grad=True)
    with FlopCounterMode(display=False) as counted:
        mask = torch.ones(rows, prompt, dtype=torch.long)
        backbone.encode(prompts, mask, torch.full((rows, text), 9)).states.sum().backward()
    linear = 2 * rows * tokens * (4 * d * d + 2 * d * ff)
    products = 2 * 2 * rows * tokens * tokens * d
    assert counted.get_total_flops() == layers * (2 * linear + 3 * products)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no NVIDIA GPU")
def test_a_gpus_kernels_and_waits_are_counted():
    class Reading:
        """A product, a few other kernels and a wait in each step, and a wait after them all."""

        together = 2

        def train(self, batches):
            for _ in range(batches // self.together):
                values = torch.rand(1024, 1024, device="cuda")
                last = (values @ values).sum().item()
            return last + values.max().item()

    actual = profile_step(Reading(), with_shares=True)
    assert actual["waits"] == 1
    assert 3 <= actual["launches"] <= actual["kernels"] <= 9 and sum(actual["shares"].values()) == pytest.approx(1)
    assert actual["shares"]["matrix products"] > 0


SMALLEST = benchmark.Sizes(packs=(8,), batches=2, evaluated=4, generated=2)
NAMES = {"ours", "ours, pack of 8", "trainer=paper", "peft + Seq2SeqTrainer"}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::FutureWarning")  # peft's own, on transformers 5
def test_it_writes_its_record(tmp_path, monkeypatch):
    monkeypatch.setattr(benchmark, "choose_sizes", lambda: SMALLEST)
    monkeypatch.setattr("benchmarking.processes.multiprocessing.get_context", lambda _: CONTEXT)  # starts at once
    shape = tiny_t5(1.0)  # of random weights: what is measured is not the point
    shape.model.config.save_pretrained(tmp_path / "t5")
    shape.tokenizer.save_pretrained(tmp_path / "t5")
    arguments = ["--backbones", "t5_base", "--t5", str(tmp_path / "t5"), "--tasks", "wsc", "--rows", "nowhere"]
    monkeypatch.setattr(sys, "argv", ["benchmark.py", *arguments, "--rounds", "2", "--out", str(tmp_path)])
    benchmark.main()
    (path,) = tmp_path.glob("*.json")
    record = json.loads(path.read_text())
    (result,) = record["results"]
    assert result["rows"] == "miniature" and set(result["contestants"]) == NAMES
    for entry in result["contestants"].values():
        assert (
            len(entry["train"]) == len(entry["epoch"]) == 2 and min(entry["train"]) > 0 and entry["peak_bytes"] > 2**20
        )
    for name in benchmark.SHOWN:
        assert sum(result["contestants"][name]["shares"].values()) == pytest.approx(1)
    assert result["floor"]["seconds"] > 0 and len(result["targets"]) == 5
    shown = path.with_suffix(".md").read_text()
    assert all(name in shown for name in result["contestants"]) and path.with_suffix(".png").stat().st_size > 10_000


@pytest.fixture
def tiny(monkeypatch):
    """The command for a GPU at a size that a processor trains in seconds; its tests fail."""
    monkeypatch.setattr(benchmark, "choose_sizes", lambda: dataclasses.replace(SMALLEST, by_turns=False))
    shape = {"d_model": 32, "d_kv": 8, "d_ff": 64, "num_heads": 4, "num_layers": 1}
    monkeypatch.setitem(settings.SHAPES, "t5_base", shape)
    monkeypatch.setattr(gpu, "has_gpu", lambda: True)
    monkeypatch.setattr(gpu, "MAX_SECONDS", 0)  # the fewest rounds
    monkeypatch.setattr(gpu, "TESTS", [sys.executable, "-c", "raise SystemExit(1)"])
    monkeypatch.setitem(os.environ, "HF_HUB_OFFLINE", "1")
    return ["--backbones", "t5_base", "--tasks", "wsc", "--rows", "nowhere"]


@pytest.mark.slow
def test_on_a_gpu_what_fails_is_told_and_the_rest_is_measured(tiny, tmp_path, monkeypatch, capsys):
    """A test that fails, a contestant that is not installed, one that runs out of memory in the middle."""
    monkeypatch.setitem(sys.modules, "peft", None)
    monkeypatch.delitem(sys.modules, "benchmarking.peft_trainer", raising=False)
    turn = benchmark.take_turn

    def run_out(name, *passed):
        if name == "ours, pack of 8":
            raise torch.OutOfMemoryError("no room")
        turn(name, *passed)

    monkeypatch.setattr(benchmark, "take_turn", run_out)
    assert gpu.main([*tiny, "--minutes", "3", "--out", str(tmp_path)]) == 1
    (path,) = tmp_path.glob("*.json")
    (result,) = json.loads(path.read_text())["results"]
    entries = result["contestants"]
    assert set(entries) == NAMES and {name for name in entries if "failed" in entries[name]} == {
        "ours, pack of 8",
        "peft + Seq2SeqTrainer",
    }
    assert "no room" in entries["ours, pack of 8"]["failed"] and "peft" in entries["peft + Seq2SeqTrainer"]["failed"]
    assert (
        result["rounds"] == 2
        and len(entries["ours"]["train"]) == len(entries["trainer=paper"]["epoch"]) == result["rounds"]
    )
    assert [target["met"] is None for target in result["targets"]] == [False, True, True, False, True]
    assert "failed: OutOfMemoryError: no room" in path.with_suffix(".md").read_text()
    assert path.with_suffix(".png").is_file()
    told = capsys.readouterr().out
    assert "tests FAILED" in told and "t5_base wsc, rows/s" in told


def test_a_backbone_that_fails_or_has_no_time_is_told(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(benchmark, "measure", lambda *_: 1 / 0)
    arguments = benchmark.parse([*tiny, "--random", "--out", str(tmp_path)])
    (result,) = benchmark.run(arguments)["results"]
    assert result["failed"] == "ZeroDivisionError: division by zero"
    arguments.minutes = -1.0
    (result,) = benchmark.run(arguments)["results"]
    assert result["failed"].startswith("left out")
    (path,) = tmp_path.glob("*.md")
    assert "failed: left out" in path.read_text()


@pytest.mark.slow
def test_evaluation_has_its_own_record(tmp_path, monkeypatch):
    """Rows per second of training and of evaluation, alone and in a pack, and their ratio in each round."""
    monkeypatch.setattr(evaluation_rate, "BATCHES", 1)
    monkeypatch.setattr(evaluation_rate, "EVALUATED", 4)
    monkeypatch.setattr(torch, "set_num_threads", lambda _: None)  # other tests share this process
    out = tmp_path / "evaluation.json"
    options = ["--rows", str(tmp_path), "--backbone", "nano", "--tasks", "cb", "--rounds", "1", "--out", str(out)]
    evaluation_rate.main(options)
    (result,) = json.loads(out.read_text())["results"]
    assert result["task"] == "cb" and set(result["packs"]) == {"1", "2"}
    for rates in result["packs"].values():
        assert rates["ratios"] == [pytest.approx(rates["evaluate"] / rates["train"])]
