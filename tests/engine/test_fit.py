"""Training: what moves and what does not, accumulation, packs, failures."""

import dataclasses
import json
from pathlib import Path

import pytest
import torch

from rpt.backbones import load_backbone
from rpt.data.sources import read_examples
from rpt.data.splits import split_examples
from rpt.engine.evaluate import evaluate
from rpt.engine.fit import NonFiniteLoss, Pack, accelerator_for
from rpt.engine.session import prepare_run
from rpt.results.record import Record
from rpt.tasks import TASKS
from rpt.train import train

SHORT = ["data.shots=8", "trainer.max_steps=4", "trainer.eval_batch_size=128"]


@pytest.fixture(scope="session")
def nano():
    from hydra import compose, initialize_config_dir

    from rpt.config import config_folder, typed

    with initialize_config_dir(config_folder(), version_base="1.3"):
        return load_backbone(typed(compose("train", ["backbone=nano"])).backbone)


def prepared(config, backbone, folder):
    task = TASKS[config.task.name]
    data = split_examples(read_examples(config.data, task), task, config.data, config.protocol)
    return prepare_run(config, data, backbone, Record(Path(folder)))


def fitted(backbone, *runs):
    """The runs in the order in which they ended."""
    return list(Pack(backbone, accelerator_for(runs[0].config), max_runs=len(runs)).fit(iter(runs)))


@pytest.mark.parametrize("prompt", ["vanilla", "mlp", "lstm", "residual"])
def test_only_the_prompt_is_trained(configure, nano, tmp_path, prompt):
    frozen = {name: weight.clone() for name, weight in nano.model.state_dict().items()}
    run = prepared(configure("task=cb", f"prompt={prompt}", *SHORT), nano, tmp_path)
    before = {name: p.detach().clone() for name, p in run.soft_prompt.named_parameters()}
    fitted(nano, run)
    moved = {name for name, p in run.soft_prompt.named_parameters() if not torch.equal(p, before[name])}
    # Zero gain in ReLU units may leave single weights still, but every tensor has learned something.
    assert moved == set(before)
    assert all(torch.equal(frozen[name], weight) for name, weight in nano.model.state_dict().items())
    assert all(weight.grad is None for weight in nano.model.parameters())


@pytest.mark.parametrize("prompt", ["mlp", "lstm", "residual"])
def test_folded_equals_unfolded(configure, nano, tmp_path, prompt):
    run = prepared(configure("task=rte", f"prompt={prompt}", "lr=0.05", *SHORT), nano, tmp_path)
    fitted(nano, run)
    with torch.no_grad():
        unfolded = run.soft_prompt.eval()()
    folded = run.soft_prompt.fold()
    ids = torch.tensor(run.report.sources[0])[None]
    mask = torch.ones(1, 10, dtype=torch.long)
    fed = torch.zeros(1, 1, dtype=torch.long)
    logits = [nano._decode(nano.encode(p[None], mask, ids), fed) for p in (unfolded, folded)]
    torch.testing.assert_close(*logits)  # the LSTM's kernels differ in the last bits without gradients


def first_gradients(backbone, *runs):
    """Of each run's parameters in the first step. Compared instead of the parameters after some steps, because
    AdamW's first steps are as large for a gradient of rounding noise as for any other."""
    pack = Pack(backbone, accelerator_for(runs[0].config))
    pack.join(list(runs))
    for optimizer in pack.optimizers:
        optimizer.step = optimizer.zero_grad = lambda: None
    pack.step()
    found = {
        run: {name: parameter.grad[r] for name, parameter in stack.parameters.items()}
        for stack in pack.stacks
        for r, run in enumerate(stack.runs)
    }
    for run in runs:
        run.progress.step = 0
    return [found[run] for run in runs]


def assert_gradients_close(ones, others):
    for name, gradient in ones.items():
        scale = gradient.abs().max().item()
        torch.testing.assert_close(
            gradient, others[name], rtol=1e-3, atol=1e-4 * scale, msg=lambda m, n=name: f"{n}: {m}"
        )


def test_accumulation_equals_one_large_batch(configure, nano, tmp_path):
    words = ["task=multirc", "protocol=superglue", "protocol.selection=reported", *SHORT]
    large = prepared(configure(*words, "trainer.batch_size=8"), nano, tmp_path / "a")
    small = prepared(configure(*words, "trainer.batch_size=2", "trainer.accumulation=4"), nano, tmp_path / "b")
    assert_gradients_close(*first_gradients(nano, large), *first_gradients(nano, small))


PACKED = [
    ["prompt=residual", "prompt.length=3", "lr=0.01"],
    ["prompt=vanilla", "prompt.length=12", "lr=0.05", "seed=1"],
    ["prompt=lstm", "prompt.length=5", "lr=0.001", "seed=2", "trainer.max_steps=2"],
]


def test_a_run_in_a_pack_has_the_gradients_it_has_alone(configure, nano, tmp_path):
    """Different lengths, variants and seeds side by side: each sees its own rows and nothing of the others."""
    runs = [prepared(configure("task=cb", *SHORT, *words), nano, tmp_path / str(i)) for i, words in enumerate(PACKED)]
    alone = [gradients for run in runs for gradients in first_gradients(nano, run)]
    for one, other in zip(alone, first_gradients(nano, *runs), strict=True):
        assert_gradients_close(one, other)


def test_a_run_in_a_pack_ends_as_it_does_alone(configure, nano, tmp_path):
    configs = [configure("task=cb", *SHORT, *words) for words in PACKED]
    alone = [prepared(config, nano, tmp_path / f"alone{i}") for i, config in enumerate(configs)]
    packed = [prepared(config, nano, tmp_path / f"packed{i}") for i, config in enumerate(configs)]
    for run in alone:
        fitted(nano, run)
    fitted(nano, *packed)
    for one, other in zip(alone, packed, strict=True):
        assert one.progress.step == other.progress.step == one.total_steps
        assert one.progress.history[-1]["loss"] == pytest.approx(other.progress.history[-1]["loss"], rel=1e-2)


def test_a_run_that_diverges_leaves_the_pack_and_the_others_go_on(configure, nano, tmp_path):
    configs = [configure("task=cb", *SHORT, "trainer.max_steps=12", lr) for lr in ("lr=1e30", "lr=0.01")]
    bad, good = (prepared(config, nano, tmp_path / config.task.name / str(config.lr)) for config in configs)
    assert fitted(nano, bad, good) == [bad, good]
    assert isinstance(bad.failure, NonFiniteLoss) and good.failure is None
    assert good.progress.step == 12 and torch.isfinite(good.soft_prompt.fold()).all()


def test_a_failed_run_leaves_a_record_that_says_so(configure, tmp_path):
    config = configure("task=cb", "lr=1e30", *SHORT, "trainer.max_steps=12")
    with pytest.raises(NonFiniteLoss, match="smaller lr"):
        train(config)
    (path,) = tmp_path.rglob("result.json")
    result = json.loads(path.read_text())
    assert result["status"] == "failed" and "NonFiniteLoss" in result["error"]
    assert not list(tmp_path.rglob("checkpoint*"))


def test_without_prompt_the_backbone_is_only_evaluated(configure, tmp_path):
    score = train(configure("task=cb", "prompt=none"))
    (path,) = tmp_path.rglob("result.json")
    result = json.loads(path.read_text())
    assert result["scores"]["score"] == score
    assert result["parameters"]["trained"] == 0 and not list(tmp_path.rglob("prompt.safetensors"))


def test_early_stopping(configure, nano, tmp_path):
    run = prepared(configure("task=cb", "lr=1e-9", "data.shots=8", "trainer.patience=2"), nano, tmp_path)
    fitted(nano, run)
    assert run.progress.step == 3 * run.steps_per_epoch and "no better score in 2" in run.progress.stopped


@pytest.mark.parametrize("task", ["boolq", "cb", "copa", "multirc", "rte", "wic"])
@pytest.mark.parametrize("protocol", ["paper", "superglue"])
def test_argmax_rule_equals_generation(configure, nano, tmp_path, task, protocol):
    words = [f"task={task}", f"protocol={protocol}", "protocol.selection=reported", "data.shots=8"]
    run = prepared(configure(*words, "trainer.max_steps=6", "lr=0.05"), nano, tmp_path)
    fitted(nano, run)
    accelerator = accelerator_for(run.config)
    some = dataclasses.replace(run.report, examples=run.report.examples[:120], sources=run.report.sources[:120])
    results = []
    for decode in ("argmax", "generate"):
        run.config.trainer.decode = decode
        results.append(evaluate(nano, run.soft_prompt.fold(), some, run.config, accelerator))
    assert results[0].predictions == results[1].predictions
    assert results[0].scores == results[1].scores


def test_the_published_protocol_runs_and_padding_to_the_maximum_changes_no_answer(configure, nano, tmp_path):
    config = configure("task=cb", "trainer=paper", "data.shots=4", "trainer.max_steps=2", "backbone.max_tokens=128")
    run = prepared(config, nano, tmp_path)
    fitted(nano, run)
    assert len(run.progress.history) == 1 and run.progress.history[0]["epoch"] == 1
    accelerator, prompt = accelerator_for(config), run.soft_prompt.fold()
    padded = evaluate(nano, prompt, run.report, config, accelerator)
    config.trainer.pad_to_max = False
    assert evaluate(nano, prompt, run.report, config, accelerator).predictions == padded.predictions
