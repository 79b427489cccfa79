"""An encoder's head: trained with the prompt, separate in packs, saved with the best prompt, restored after a crash."""

import json

import pytest
import torch
from safetensors.torch import load_file

from rpt.prompts.prompt_file import load_prompt
from rpt.train import train
from rpt.training.run.evaluate import evaluate
from tests.training.runs import SHORT, assert_gradients_close, crash_at, first_gradients, fitted, prepared

ENCODER = ["backbone=nano_bert", "trainer.eval_batch_size=256"]


@pytest.mark.parametrize("prompt", ["vanilla", "mlp", "lstm", "residual"])
def test_prompt_and_head_are_trained_and_nothing_else(configure, nano_bert, tmp_path, prompt):
    frozen = {name: weight.clone() for name, weight in nano_bert.model.state_dict().items()}
    config = configure("task=cb", *ENCODER, f"prompt={prompt}", *SHORT)
    run = prepared(config, nano_bert, tmp_path, evaluated=8)
    before = {name: p.detach().clone() for name, p in run.parameters.items()}
    assert {"head.weight", "head.bias", "reparameterization.table"} <= set(before)
    fitted(nano_bert, run)
    assert {name for name, p in run.parameters.items() if not torch.equal(p, before[name])} == set(before)
    assert all(torch.equal(frozen[name], weight) for name, weight in nano_bert.model.state_dict().items())


PACKED = [
    ["prompt=residual", "prompt.length=3", "lr=0.01", "trainer.head_lr=0.1"],
    ["prompt=vanilla", "prompt.length=12", "lr=0.05", "seed=1"],
    ["prompt=lstm", "prompt.length=5", "lr=0.001", "seed=2"],
    ["prompt=residual", "prompt.length=3", "lr=0.05", "seed=3", "trainer.head_lr=1e-5"],
]


@pytest.mark.parametrize("overrides", [["task=cb"], ["task=copa"], ["task=wic", "backbone.head=spans"]])
def test_each_run_of_a_pack_has_the_gradients_that_it_has_alone(configure, nano_bert, tmp_path, overrides):
    """A run's rows go through its own head and leave the heads of other runs unchanged."""
    runs = [
        prepared(configure(*overrides, *ENCODER, *SHORT, *each), nano_bert, tmp_path / str(i))
        for i, each in enumerate(PACKED)
    ]
    alone = [gradients for run in runs for gradients in first_gradients(nano_bert, run)]
    for one, other in zip(alone, first_gradients(nano_bert, *runs), strict=True):
        assert one["head.weight"].abs().sum() > 0
        assert_gradients_close(one, other)


def test_heads_have_their_own_learning_rate(configure, nano_bert, tmp_path):
    moved = []
    for rate in (0.1, 1e-5):
        overrides = ["task=cb", *ENCODER, *SHORT, "trainer.max_steps=1", f"trainer.head_lr={rate}"]
        run = prepared(configure(*overrides), nano_bert, tmp_path / str(rate), evaluated=8)
        before = run.head.weight.detach().clone()
        fitted(nano_bert, run)
        moved.append((run.head.weight - before).abs().max().item())
    assert moved == pytest.approx([0.1, 1e-5], rel=0.05)  # AdamW's first step


@pytest.mark.slow
def test_the_record_holds_the_head_of_the_best_prompt(configure, nano_bert, tmp_path):
    config = configure("task=cb", *ENCODER, "data.shots=8", "trainer.epochs=3", "lr=0.05")
    score = train(config)
    (path,) = tmp_path.rglob("result.json")
    result, tensors = json.loads(path.read_text()), load_file(path.parent / "prompt.safetensors")
    d, n, m, classes = 256, 10, 250, 3
    head = classes * d + classes
    assert result["parameters"]["trained"] == d * n + 2 * d * m + m + d + 2 * d + head
    assert result["parameters"]["kept"] == d * n + head
    assert set(tensors) == {"prompt_embeddings", "head.weight", "head.bias"}
    assert tuple(load_prompt(path.parent / "prompt.safetensors").shape) == (n, d)
    run = prepared(config, nano_bert, tmp_path / "again")
    stored = {name: tensors[f"head.{name}"] for name in ("weight", "bias")}
    again = evaluate(nano_bert, tensors["prompt_embeddings"], stored, run.report, config)
    assert again.scores == result["scores"] and again.scores["score"] == score


def test_a_crash_changes_nothing(configure, tmp_path, monkeypatch, evaluate_few):
    evaluate_few(24)
    overrides = ["task=copa", *ENCODER, "data.shots=8", "trainer.epochs=2", "trainer.checkpoint_every=1", "lr=0.05"]

    def outcome(folder):
        (path,) = (tmp_path / folder).rglob("result.json")
        tensors = {name: value.tolist() for name, value in load_file(path.parent / "prompt.safetensors").items()}
        return (path.parent / "metrics.jsonl").read_text(), json.loads(path.read_text())["scores"], tensors

    train(configure(*overrides, f"results={tmp_path / 'unbroken'}"))
    with crash_at(monkeypatch, 3):
        train(configure(*overrides, f"results={tmp_path / 'broken'}"))
    train(configure(*overrides, f"results={tmp_path / 'broken'}"))
    assert outcome("broken") == outcome("unbroken")
