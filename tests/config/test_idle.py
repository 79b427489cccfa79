"""Settings that change nothing in a run, and what helps where a backbone cannot be read."""

import pytest

from rpt.backbones.loading import ways_on
from rpt.config import find_idle
from rpt.hub import WAYS_ON


@pytest.mark.parametrize(
    ("overrides", "use"),
    [
        (["prompt.init_text=a cat"], "prompt.init=text"),
        (["prompt.init_path=prompt.safetensors"], "prompt.init=saved"),
        (["data.shots_seed=3"], "data.shots=N"),
        (["data=hub", "data.mini_seed=3"], "data=mini"),
        (["backbone.revision=v2"], "backbone.hub=ID"),
        (["data.repo=mine/rows"], "data=hub"),
        (["protocol.held_out=0.2"], "protocol.selection=held_out"),
        (["prompt=vanilla", "trainer.network_lr=0.1"], "a prompt with a network: residual, mlp"),
        (["tracking.project=mine"], "tracking=wandb"),
        (["method=adapter", "method.biases=True"], "method.weights"),
        (["trainer.head_lr=0.1"], "a prompt before an encoder"),
        (["backbone=nano_bert", "method=probe", "trainer.head_lr=0.1"], "a prompt before an encoder"),
    ],
)
def test_what_changes_nothing_is_named_with_what_would_make_use_of_it(configure, overrides, use):
    idle = find_idle(configure(*overrides))
    assert idle == [f"{overrides[-1]} changes nothing without {use}."]


def test_what_is_used_is_not_named(configure):
    used = [
        "backbone=t5_small",
        "backbone.revision=v2",
        "prompt.init=text",
        "prompt.init_text=a cat",
        "data.mini_seed=3",
    ]
    assert find_idle(configure(*used, "data.shots=4", "data.shots_seed=3")) == []
    rates = ["trainer.head_lr=0.1", "trainer.network_lr=0.1", "protocol=superglue", "protocol.held_out=0.2"]
    assert find_idle(configure("backbone=nano_bert", *rates)) == []


def test_the_hub_s_ways_on_are_for_its_models_alone(configure):
    assert ways_on(configure("backbone=t5_small").backbone) == WAYS_ON
    assert "Give a folder" in ways_on(configure("backbone.path=mine").backbone)
