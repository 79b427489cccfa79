"""Training: which parameters change, accumulation, failures."""

import json
import os
import signal

import pytest
import torch

from rpt.errors import NonFiniteLoss, UsageError
from rpt.train import train
from rpt.training.engine import pack as pack_module
from rpt.training.engine.pack import Pack
from rpt.training.engine.signals import Interrupted
from rpt.training.run.evaluate import evaluate
from tests.conftest import tiny_t5
from tests.training.runs import SHORT, assert_gradients_close, first_gradients, fitted, prepared


@pytest.mark.parametrize("prompt", ["vanilla", "mlp", "lstm", "residual"])
def test_only_the_prompt_is_trained(configure, nano, tmp_path, prompt):
    frozen = {name: weight.clone() for name, weight in nano.model.state_dict().items()}
    run = prepared(configure("task=cb", f"prompt={prompt}", *SHORT), nano, tmp_path, evaluated=8)
    before = {name: p.detach().clone() for name, p in run.soft_prompt.named_parameters()}
    fitted(nano, run)
    moved = {name for name, p in run.soft_prompt.named_parameters() if not torch.equal(p, before[name])}
    # Inactive ReLU units may leave single weights unchanged, but every tensor must change.
    assert moved == set(before)
    assert all(torch.equal(frozen[name], weight) for name, weight in nano.model.state_dict().items())
    assert all(weight.grad is None for weight in nano.model.parameters())


@pytest.mark.parametrize("prompt", ["mlp", "lstm", "residual"])
def test_folded_equals_unfolded(configure, nano, tmp_path, prompt):
    run = prepared(configure("task=rte", f"prompt={prompt}", "lr=0.05", *SHORT), nano, tmp_path, evaluated=8)
    fitted(nano, run)
    with torch.no_grad():
        unfolded = run.soft_prompt.eval()()
    folded = run.soft_prompt.fold()
    ids = torch.tensor(run.report.rows[0][0].sequences[0])[None]
    mask = torch.ones(1, 10, dtype=torch.long)
    fed = torch.zeros(1, 1, dtype=torch.long)
    logits = [nano._decode(nano.encode(p[None], mask, ids), fed) for p in (unfolded, folded)]
    torch.testing.assert_close(*logits)  # the LSTM's kernels differ in the last bits without gradients


def test_accumulation_equals_one_large_batch(configure, nano, tmp_path):
    overrides = ["task=multirc", "protocol=superglue", "protocol.selection=reported", *SHORT]
    large = prepared(configure(*overrides, "trainer.batch_size=8"), nano, tmp_path / "a")
    small = prepared(configure(*overrides, "trainer.batch_size=2", "trainer.accumulation=4"), nano, tmp_path / "b")
    assert_gradients_close(*first_gradients(nano, large), *first_gradients(nano, small))


def test_a_failed_run_leaves_a_record_that_says_so(configure, tmp_path):
    config = configure("task=cb", "lr=1e30", *SHORT, "trainer.max_steps=12")
    with pytest.raises(NonFiniteLoss, match="smaller lr"):
        train(config)
    (path,) = tmp_path.rglob("result.json")
    result = json.loads(path.read_text())
    assert result["status"] == "failed" and "NonFiniteLoss" in result["error"]
    assert not list(tmp_path.rglob("checkpoint*"))


@pytest.mark.parametrize("prompt", ["vanilla", "residual"])
def test_a_last_step_that_is_too_large_fails_although_its_loss_was_finite(configure, nano, tmp_path, prompt):
    config = configure("task=cb", f"prompt={prompt}", "lr=1e25", "data.shots=8", "trainer.max_steps=1")
    run = prepared(config, nano, tmp_path)
    fitted(nano, run)
    assert isinstance(run.failure, NonFiniteLoss) and not run.progress.history
    assert str(run.failure).startswith("the trained part of cb nano")


def test_without_prompt_the_backbone_is_only_evaluated(configure, tmp_path):
    score = train(configure("task=cb", "prompt=none"))
    (path,) = tmp_path.rglob("result.json")
    result = json.loads(path.read_text())
    assert result["scores"]["score"] == score
    assert result["parameters"]["trained"] == 0 and not list(tmp_path.rglob("prompt.safetensors"))


def test_early_stopping(configure, nano, tmp_path):
    config = configure("task=cb", "lr=1e-9", "data.shots=8", "trainer.patience=2")
    run = prepared(config, nano, tmp_path, evaluated=8)
    fitted(nano, run)
    assert run.progress.step == 3 * run.steps_per_epoch and "no better score in 2" in run.progress.stopped


@pytest.mark.parametrize("task", ["boolq", "cb", "copa", "multirc", "rte", "wic"])
@pytest.mark.parametrize("protocol", ["paper", "superglue"])
def test_argmax_rule_equals_generation(configure, nano, tmp_path, task, protocol):
    overrides = [f"task={task}", f"protocol={protocol}", "protocol.selection=reported", "data.shots=4"]
    overrides += ["trainer.max_steps=4", "lr=0.05", "backbone.max_tokens=128"]
    run = prepared(configure(*overrides), nano, tmp_path, evaluated=8)
    fitted(nano, run)
    some = run.report.pick(range(len(run.report.rows))[:24])
    results = []
    for decode in ("argmax", "generate"):
        run.config.trainer.decode = decode
        results.append(evaluate(nano, run.soft_prompt.fold(), {}, some, run.config))
    assert results[0].predictions == results[1].predictions
    assert results[0].scores == results[1].scores


@pytest.mark.slow
def test_the_published_protocol_runs_and_padding_to_the_maximum_changes_no_answer(configure, nano, tmp_path):
    config = configure("task=cb", "trainer=paper", "data.shots=4", "trainer.max_steps=2", "backbone.max_tokens=128")
    run = prepared(config, nano, tmp_path, evaluated=8)
    fitted(nano, run)
    (line,) = run.progress.history
    prompt = run.soft_prompt.fold()
    assert line["epoch"] == 1 and line["prompt_norm"] == pytest.approx(float(prompt.norm(dim=1).mean()), abs=1e-4)
    padded = evaluate(nano, prompt, {}, run.report, config)
    config.trainer.pad_to_max = False
    assert evaluate(nano, prompt, {}, run.report, config).predictions == padded.predictions


def test_a_backbone_keeps_its_precision_when_another_is_placed():
    """A process may have a server in bf16 and a run in fp32."""
    half, full = tiny_t5(1.0), tiny_t5(1.0)
    for backbone, precision in ((half, "bf16"), (full, "fp32")):
        backbone.place(torch.device("cpu"), precision)
    left, right = torch.ones(2, 2), torch.ones(2, 2)
    for backbone, dtype in ((half, torch.bfloat16), (full, torch.float32)):
        with backbone.autocast():
            assert (left @ right).dtype == dtype


@pytest.mark.slow
def test_threads_change_nothing_from_one_time_to_the_next(configure, nano, tmp_path):
    """Gradients of a prompt's rows are summed in one order, for any number of threads."""
    config = configure("task=cb", "prompt=vanilla", "prompt.length=100", *SHORT, "trainer.max_steps=2")
    before, prompts = torch.get_num_threads(), []
    torch.set_num_threads(2)
    try:
        for again in ("one", "two"):
            run = prepared(config, nano, tmp_path / again, evaluated=8)
            fitted(nano, run)
            prompts.append(run.soft_prompt.fold())
    finally:
        torch.set_num_threads(before)
    assert torch.equal(*prompts)


@pytest.mark.parametrize("scale, updates", [(2.0, 1), (2.0**120, 0)])
def test_fp16_leaves_out_a_step_whose_gradients_overflow(configure, tmp_path, scale, updates):
    backbone = tiny_t5(1.0)
    backbone.place(torch.device("cpu"), "fp16")
    run = prepared(configure("task=cb", "trainer.clip=1", *SHORT), backbone, tmp_path)
    pack = Pack(backbone)
    assert pack.scaler.is_enabled()
    pack.scaler = torch.amp.GradScaler("cpu", init_scale=scale)
    pack.join([run])
    before = run.soft_prompt.fold()
    pack.step()
    assert run.progress.step == 1 and run.progress.updates == updates
    assert torch.equal(run.soft_prompt.fold(), before) == (updates == 0)
    assert (pack.scaler.get_scale() < scale) == (updates == 0)


@pytest.mark.parametrize("signals", [1, 2, 3])
def test_a_signal_sent_by_two_still_saves_and_a_third_ends_at_once(
    configure, tiny_backbone, tmp_path, monkeypatch, signals
):
    ended, take = [], Pack.step

    def step(pack):
        for _ in range(signals):
            os.kill(os.getpid(), signal.SIGTERM)
        return take(pack)

    monkeypatch.setattr(Pack, "step", step)
    monkeypatch.setattr(os, "_exit", ended.append)
    run = prepared(configure("task=cb", "backbone.max_tokens=48", *SHORT), tiny_backbone, tmp_path, evaluated=4)
    with pytest.raises(Interrupted):
        fitted(tiny_backbone, run)
    assert run.record.checkpoint_path.exists() and ended == [128 + signal.SIGTERM] * (signals == 3)
    assert "every run is saved" in run.record.console_path.read_text()


def test_a_signal_ends_all_although_a_run_cannot_be_saved(configure, tiny_backbone, tmp_path, monkeypatch, caplog):
    runs = [prepared(configure("task=cb", *SHORT, f"seed={i}"), tiny_backbone, tmp_path / str(i)) for i in range(2)]
    save = pack_module.save_checkpoint

    def save_second(run):
        if run is runs[0]:
            raise UsageError("no room")
        save(run)

    monkeypatch.setattr(pack_module, "save_checkpoint", save_second)
    pack = Pack(tiny_backbone, 2)
    pack.join(runs)
    with pytest.raises(Interrupted):
        pack.interrupt(signal.SIGTERM)
    assert runs[1].record.checkpoint_path.exists() and "seed0 is not saved: no room" in caplog.text


def test_a_loss_that_is_not_finite_for_a_step_fails_the_run(configure, tiny_backbone, tmp_path):
    """In fp16 the next may be finite; the mean of a line in metrics.jsonl would not."""
    run = prepared(configure("task=cb", *SHORT), tiny_backbone, tmp_path, evaluated=8)
    run.unread_losses.append(torch.tensor(float("inf")))
    fitted(tiny_backbone, run)
    assert isinstance(run.failure, NonFiniteLoss) and "is inf by step" in str(run.failure)
