"""On a GPU, as far as one that is pretended can tell (scripts/benchmarking/pretended_gpu.py): no tensor is left on the
other device, the numbers are the processor's, and a step waits for the device no more than it must."""

import contextlib
import dataclasses
import json

import pytest
import torch
from benchmarking.pretended_gpu import pretend_gpu

from rpt.backbones import load_backbone
from rpt.backbones.device import find_device, precision_of
from rpt.training import loader as loader_module
from rpt.training.evaluate import evaluate
from rpt.training.pack import Pack
from rpt.training.sweep import train_all
from tests.conftest import ROOT
from tests.training.runs import prepared

TESTED = [line.strip().removeprefix("torch==") for line in (ROOT / "constraints.txt").open() if line[:7] == "torch=="]
pytestmark = pytest.mark.skipif(
    torch.__version__.partition("+")[0] not in TESTED,
    reason=f"the pretended GPU knows torch {', '.join(TESTED)}, this is {torch.__version__}",
)
SHORT = ["data.shots=4", "trainer.max_steps=2", "backbone.max_tokens=96", "prompt.length=4"]
EVALUATED = 12  # examples; their scores are not the point
RESIDUAL = ["prompt=residual", "prompt.length=3", "lr=0.01"]
VANILLA = ["prompt=vanilla", "prompt.length=12", "lr=0.05", "seed=1"]
OTHER = ["prompt=residual", "prompt.length=5", "lr=0.01", "seed=2"]
ONES = {"single": [RESIDUAL], "pack": [RESIDUAL, VANILLA, OTHER]}


@pytest.fixture(autouse=True)
def few_rows(monkeypatch):
    split = loader_module.split_examples

    def split_few(*args):
        data = split(*args)
        report = data.report[:EVALUATED]
        select = report if data.select is data.report else data.select[:EVALUATED]
        return dataclasses.replace(data, report=report, select=select)

    monkeypatch.setattr(loader_module, "split_examples", split_few)


def place(config):
    backbone = load_backbone(config.backbone, config.trainer.dropout)
    backbone.place(find_device(), precision_of(config))
    return backbone


def make_pack(configure, folder, words, runs):
    configs = [configure(*SHORT, *words, *own) for own in runs]
    pack = Pack(place(configs[0]), len(runs))
    pack.join([prepared(config, pack.backbone, folder / str(i), 8) for i, config in enumerate(configs)])
    return pack


def train_steps(configure, folder, words, runs, steps=2):
    """Every run's losses, then its predictions."""
    pack = make_pack(configure, folder, words, runs)
    for _ in range(steps):
        pack.step()
    losses = [[loss.item() for loss in run.unread_losses] for run in pack.active]
    found = [evaluate(pack.backbone, run.fold_prompt(), run.copy_head(), run.select, run.config) for run in pack.active]
    return losses, [each.predictions for each in found]


@pytest.mark.parametrize("runs", ONES.values(), ids=ONES)
@pytest.mark.parametrize(
    "words",
    [
        ["task=boolq"],
        ["task=wic", "backbone=nano_bert", "backbone.head=spans"],
        ["task=copa", "backbone=nano_bert"],
    ],
    ids=["t5", "bert-spans", "bert-choices"],
)
def test_steps_have_the_numbers_of_the_processor(configure, tmp_path, words, runs):
    with pretend_gpu():
        losses, predictions = train_steps(configure, tmp_path, words, runs)
    expected, told = train_steps(configure, tmp_path, words, runs)
    torch.testing.assert_close(torch.tensor(losses), torch.tensor(expected), rtol=1e-4, atol=1e-5)
    assert predictions == told


def recorded(folder):
    """Of each record, its loss curve and scores."""
    found = {}
    for path in folder.rglob("result.json"):
        result = json.loads(path.read_text())
        assert result["status"] == "finished", result
        assert result["device"] == "pretended GPU"
        found[path.parent.name] = (path.parent / "metrics.jsonl").read_text(), result["scores"]
    return found


WHOLE = {
    "lstm": ["task=cb", "prompt=lstm"],
    "finetune": ["task=cb", "method=finetune", "prompt.length=0"],
}


@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_run(configure, tmp_path, name):
    with pretend_gpu():
        (outcome,) = train_all([configure(*SHORT, *WHOLE[name], f"results={tmp_path}")])
    assert isinstance(outcome, float), outcome
    assert len(recorded(tmp_path)) == 1
