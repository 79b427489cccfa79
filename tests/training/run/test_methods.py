"""Fine-tuning and the methods of table 3: each trains exactly its weights, and its record has them."""

import json
import re

import pytest
import torch
from safetensors.torch import load_file

from rpt.backbones import load_backbone
from rpt.config import MethodConfig
from rpt.data.batches import pad
from rpt.errors import UsageError
from rpt.train import train
from rpt.training.run import methods
from rpt.training.run.evaluate import evaluate
from rpt.training.run.methods import make_trainable
from tests.conftest import tiny_t5
from tests.training.runs import assert_gradients_close, crash_at, first_gradients, fitted, prepared

METHODS = ["finetune", "bitfit", "adapter", "lora", "ia3"]
BACKBONES = ["nano", "nano_bert"]


def installed(config):
    backbone = load_backbone(config.backbone)
    make_trainable(backbone, config.method, config.seed)
    return backbone


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("backbone", BACKBONES)
def test_a_method_trains_its_own_weights_and_nothing_else(configure, tmp_path, backbone, method):
    config = configure(
        f"backbone={backbone}",
        f"method={method}",
        "task=cb",
        "data.shots=4",
        "trainer.max_steps=2",
        "trainer.eval_batch_size=128",
    )
    model = installed(config)
    before = {name: weight.detach().clone() for name, weight in model.model.state_dict().items()}
    run = prepared(config, model, tmp_path, evaluated=8)
    assert {f"backbone.{name}" for name in model.trained} <= set(run.parameters) and run.soft_prompt is None
    assert run.kept_parameters == run.trained_parameters == sum(p.numel() for p in run.parameters.values())
    fitted(model, run)
    after = model.model.state_dict()
    tied = {
        name for name in after for each in model.trained if after[name].data_ptr() == model.trained[each].data_ptr()
    }
    assert {name for name in after if not torch.equal(after[name], before[name])} <= tied
    moved = {name for name, weight in model.trained.items() if not torch.equal(weight, before[name])}
    still = set(model.trained) - moved
    # No gradient reaches, at first, what a zero beside it hides: LoRA's A and adapters' down in the first step, a key's
    # bias ever (it moves all scores alike).
    assert moved and all("key.bias" in name for name in still), still


def test_a_probe_trains_the_head_alone(configure, tmp_path):
    config = configure("backbone=nano_bert", "method=probe", "task=cb", "data.shots=4", "trainer.max_steps=2")
    model = installed(config)
    before = {name: weight.clone() for name, weight in model.model.state_dict().items()}
    run = prepared(config, model, tmp_path, evaluated=8)
    head = run.copy_head()
    fitted(model, run)
    assert set(run.parameters) == {"head.weight", "head.bias"} and run.kept_parameters == 3 * 256 + 3
    assert all(torch.equal(weight, before[name]) for name, weight in model.model.state_dict().items())
    assert not torch.equal(run.copy_head()["weight"], head["weight"])


@pytest.mark.parametrize(
    ("backbone", "task"),
    [("nano", "cb"), ("nano", "record"), *(("nano_bert", task) for task in ("cb", "copa", "record", "wic"))],
)
def test_every_kind_of_task_is_trained_and_scored(configure, tmp_path, backbone, task):
    """Labels and open answers; of an encoder choices and marked words, too. tests/training/engine/test_matrix.py has
    every task."""
    overrides = [f"backbone={backbone}", f"task={task}", "method=lora", "data.shots=1", "trainer.max_steps=1"]
    config = configure(*overrides)
    model = installed(config)
    run = prepared(config, model, tmp_path, evaluated=8)
    (run,) = fitted(model, run)
    assert run.failure is None and 0 <= run.progress.best_score <= 100


def test_fine_tuning_has_the_gradients_of_the_library_s_own_model(configure, tmp_path):
    config = configure("task=cb", "method=finetune", "data.shots=4", "trainer.max_steps=1")
    model = installed(config)
    run = prepared(config, model, tmp_path)
    gradients = first_gradients(model, run)[0]
    (rows,) = next(run.steps()).reshape(1, -1)
    batch = [run.rows[i] for i in rows]
    ids = pad([row.sequences[0] for row in batch], 0)
    labels = pad([row.target for row in batch], -100)
    model.model(input_ids=ids, attention_mask=ids.ne(0).long(), labels=labels).loss.backward()
    assert_gradients_close({f"backbone.{name}": weight.grad for name, weight in model.trained.items()}, gradients)


def test_an_adapter_changes_nothing_before_training(configure, tmp_path, nano_bert):
    config = configure("backbone=nano_bert", "method=adapter", "task=cb", "data.shots=4")
    ours = prepared(config, installed(config), tmp_path / "a")
    scores = []
    for model in (installed(config), nano_bert):
        head = ours.copy_head()
        scores.append(evaluate(model, None, head, ours.select, config).predictions)
    assert scores[0] == scores[1]


@pytest.mark.slow
@pytest.mark.parametrize("method", ["finetune", "lora"])
def test_the_record_holds_what_gave_its_scores_and_a_crash_changes_nothing(configure, tmp_path, monkeypatch, method):
    overrides = ["backbone=nano_bert", "task=cb", f"method={method}", "data.shots=8", "trainer.epochs=2", "lr=0.003"]
    overrides += ["trainer.checkpoint_every=1", "trainer.eval_batch_size=256", "backbone.max_tokens=64"]
    config = configure(*overrides)
    config.results = str(tmp_path / "unbroken")
    score = train(config)
    with crash_at(monkeypatch, 4):
        train(configure(*overrides))
    assert train(configure(*overrides)) == score
    unbroken, broken = (next((tmp_path / name).rglob("result.json")).parent for name in ("unbroken", "results"))
    assert (unbroken / "metrics.jsonl").read_text() == (broken / "metrics.jsonl").read_text()
    assert (unbroken / "weights.safetensors").read_bytes() == (broken / "weights.safetensors").read_bytes()

    result, stored = json.loads((broken / "result.json").read_text()), load_file(broken / "weights.safetensors")
    assert (
        result["prompt"] == method and sum(value.numel() for value in stored.values()) == result["parameters"]["kept"]
    )
    model = installed(config)
    head = {name.removeprefix("head."): value for name, value in stored.items() if name.startswith("head.")}
    with torch.no_grad():
        for name, weight in model.trained.items():
            weight.copy_(stored[f"backbone.{name}"])
    run = prepared(config, model, tmp_path / "again")
    assert evaluate(model, None, head, run.report, config).scores == result["scores"]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["method=finetune", "method.weights=pooler"],
            r"no weight of this backbone \(t5\) has a name with pooler in it",
        ),
        (["method=lora", "+method.peft.rr=3"], "peft does not take .*'rr'"),
        (
            ["method=lora", "+method.peft.lora_dropout=0.9"],
            "lora_dropout=0.9 acts in train mode alone; add",
        ),
        (["method=lora", "method.peft.peft_type=ADALORA"], "peft_type=ADALORA takes effect only through calls that"),
        (
            ["method=lora", "+method.peft.init_lora_weights=eva"],
            "init_lora_weights=eva takes effect only through",
        ),
        (["method=lora", "method.adapter=8"], "give one of method.weights, method.adapter, method.peft and"),
        (["method=probe"], "method=probe trains an encoder's head, and nano has none"),
        (["method=prompt", "method.adapter=8"], "or none with method=prompt"),
        (["method=adapter", "method.adapter=0"], r"method\.adapter=0 must be 1 or more"),
    ],
)
def test_what_cannot_be_trained_is_refused(configure, overrides, message):
    with pytest.raises(UsageError, match=message):
        train(configure("task=cb", *overrides))


def test_a_prompt_beside_another_method_is_refused(command, miniature):
    done = command("task=cb", "method=lora", "prompt=mlp", *miniature)
    assert done.returncode == 2 and "method=lora trains no soft prompt; leave out prompt=mlp" in done.stderr


def test_dropout_of_a_method_acts_where_the_backbone_drops_out(configure, tmp_path):
    """With the same seed it changes gradients, but it has no effect in evaluation."""
    gradients = []
    for dropout in (0.0, 0.9, 0.9):
        overrides = ["task=cb", "method=lora", f"+method.peft.lora_dropout={dropout}", "trainer.dropout=true"]
        config = configure(*overrides, "data.shots=4", "trainer.max_steps=1")
        model = load_backbone(config.backbone, config.trainer.dropout)
        make_trainable(model, config.method, config.seed)
        run = prepared(config, model, tmp_path, evaluated=4)
        gradients.append(first_gradients(model, run)[0])
        model.train(False)
        assert not any(part.training for part in model.model.modules())
    without, ones, again = gradients
    assert all(torch.equal(value, again[name]) for name, value in ones.items())
    assert not all(torch.equal(value, without[name]) for name, value in ones.items())


def test_an_adapter_goes_behind_layers_that_are_known_alone(monkeypatch):
    monkeypatch.setattr(methods, "SUBLAYERS", re.compile("none"))
    with pytest.raises(UsageError, match=r"\(t5\) is known to end a sublayer, behind which an adapter goes"):
        make_trainable(tiny_t5(1.0), MethodConfig("adapter", adapter=4), seed=0)
