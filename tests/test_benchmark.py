"""The benchmark: its floor counts what is computed, and its record holds what its table says."""

import json
import sys

import benchmark
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from tests.conftest import tiny_t5


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


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::FutureWarning")  # peft's own, on transformers 5
def test_it_writes_its_record(tmp_path, monkeypatch):
    for name, value in {"PACKS": (8,), "BATCHES": 8, "PAPER_BATCHES": 1, "EVALUATED": 4, "GENERATED": 2}.items():
        monkeypatch.setattr(benchmark, name, value)
    words = ["--backbones", "nano", "--tasks", "wsc", "--rows", "nowhere", "--rounds", "2", "--out", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["benchmark.py", *words])
    benchmark.main()
    (path,) = tmp_path.glob("*.json")
    record = json.loads(path.read_text())
    (result,) = record["results"]
    assert result["rows"] == "miniature" and set(result["contestants"]) == {
        "ours",
        "ours, pack of 8",
        "trainer=paper",
        "peft + Seq2SeqTrainer",
    }
    for of in result["contestants"].values():
        assert len(of["train"]) == len(of["epoch"]) == 2 and min(of["train"]) > 0 and of["peak_bytes"] > 2**20
    for name in benchmark.SHOWN:
        assert sum(result["contestants"][name]["shares"].values()) == pytest.approx(1)
    assert result["floor"]["seconds"] > 0 and len(result["targets"]) == 5
    shown = path.with_suffix(".md").read_text()
    assert all(name in shown for name in result["contestants"]) and path.with_suffix(".png").stat().st_size > 10_000
