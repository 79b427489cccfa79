"""Runs of a sweep load what they share once, and release it before loading the next."""

import gc

import pytest
from torch.multiprocessing.reductions import StorageWeakRef

from rpt.errors import UsageError
from rpt.training.run import loader as loader_module
from rpt.training.run.loader import Loader
from rpt.training.sweep.estimate import measure
from rpt.training.sweep.sweep import train_all

SHORT = ["task=cb", "data.shots=4", "trainer.max_steps=1", "trainer.eval_batch_size=128", "backbone.max_tokens=64"]


@pytest.fixture
def loaded(monkeypatch):
    """Of each backbone that is loaded, what tells how many of its weights are still in memory; at every loading there
    may be none, nor any that wait for a collection of garbage: a device has room for one backbone."""
    backbones, load = [], loader_module.load_backbone

    def loading(*passed):
        assert [count() for count in backbones] == [0] * len(backbones)
        backbone = load(*passed)
        weights = [StorageWeakRef(weight.untyped_storage()) for weight in backbone.model.parameters()]
        backbones.append(lambda: sum(not weight.expired() for weight in weights))
        return backbone

    monkeypatch.setattr(loader_module, "load_backbone", loading)
    gc.disable()
    yield backbones
    gc.enable()


def test_runs_in_a_row_share_a_backbone(configure, loaded):
    loader = Loader()
    first, second = (configure("task=cb", f"seed={seed}") for seed in (0, 1))
    assert loader.backbone(first) is loader.backbone(second) and len(loaded) == 1
    assert loader.rows(first) is loader.rows(second)
    other = configure("task=cb", "backbone=nano_bert")
    assert loader.backbone(other) is not None and len(loaded) == 2


def test_a_backbone_that_is_handed_over_is_not_given_again(configure, loaded):
    loader = Loader()
    config = configure("task=cb", "method=bitfit")
    pristine = loader.backbone(config)
    assert loader.hand_over_backbone(config) is pristine and len(loaded) == 1
    del pristine
    assert loader.backbone(config) is not None and len(loaded) == 2


def test_ways_to_draw_rows_are_kept_apart(configure):
    loader = Loader()
    few, all_of_them = configure("task=cb", "data.shots=4"), configure("task=cb")
    assert len(loader.rows(few).train) == 12 < len(loader.rows(all_of_them).train)
    assert loader.rows(few) is loader.rows(few)
    assert loader.rows(few).report[0] is loader.rows(all_of_them).report[0]  # read once
    assert loader.rows(configure("task=rte")).report[0] is not loader.rows(few).report[0]


def test_a_source_that_cannot_be_read_leaves_nothing_half_kept(configure, tmp_path):
    loader = Loader()
    loader.rows(configure("task=cb"))
    missing = configure("task=cb", "data=folder", f"data.dir={tmp_path}")
    for _ in range(2):
        with pytest.raises(UsageError, match="does not exist"):
            loader.rows(missing)
    assert loader.rows(configure("task=cb")).train


@pytest.mark.parametrize(
    "overrides",
    [
        [["backbone=nano"], ["backbone=nano_bert"], ["backbone=nano", "seed=1"]],
        [["method=bitfit"], ["method=adapter"], ["prompt=vanilla"], ["method=lora"]],
    ],
)
def test_a_sweep_never_holds_two_backbones(configure, loaded, evaluate_few, overrides):
    """Also after a failed run."""
    evaluate_few(8)
    failing = [*overrides[0], "lr=1e30", "trainer.max_steps=12"]
    outcomes = train_all([configure(*SHORT, *each) for each in [failing, *overrides]])
    assert [isinstance(outcome, float) for outcome in outcomes] == [False, *[True] * len(overrides)], outcomes
    assert [count() for count in loaded] == [0] * len(loaded)  # nor anything once it is over


@pytest.mark.slow
def test_nor_does_an_estimate(configure, loaded):
    loader = Loader()
    for overrides in (["method=adapter"], ["prompt=vanilla"], ["backbone=nano_bert", "method=lora"]):
        measure(configure(*SHORT, *overrides), 1, loader)
    assert len(loaded) == 3
