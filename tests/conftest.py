"""Fixtures that every test may use."""

import gc
import os

gc.disable()  # until all is imported: of the many objects that the slow libraries make, none is garbage
os.environ.setdefault("OMP_NUM_THREADS", "1")  # tests run side by side, one core each; threads would only wait

import copy
import functools
from collections.abc import Callable
from pathlib import Path

import hypothesis
import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import OverrideType
from omegaconf import DictConfig, OmegaConf
from transformers import (
    AutoTokenizer,
    BertConfig,
    BertModel,
    RobertaConfig,
    RobertaModel,
    T5Config,
    T5ForConditionalGeneration,
)

import rpt.backbones
from rpt.backbones import BertBackbone, T5Backbone
from rpt.backbones.pooling import POOLINGS
from rpt.config import GROUPS, Config, config_folder, register, to_config
from rpt.train import train
from tests.processes import Ended, start

hypothesis.settings.register_profile("rpt", deadline=None)  # no test may depend on how fast a machine is
hypothesis.settings.load_profile("rpt")

register()
ROOT = Path(__file__).resolve().parents[1]
NANO = Path(rpt.backbones.__file__).parent / "nano"
NANO_BERT = NANO.with_name("nano_bert")


def pytest_runtestloop():
    """Collect garbage again, but do not look for it in what is imported."""
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session")
def tiny_backbone() -> T5Backbone:
    """A T5 with random weights, small enough for property-based tests, with the nano's vocabulary."""
    return tiny_t5(3.0)


def tiny_t5(initializer_factor: float) -> T5Backbone:
    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(NANO)
    config = T5Config(
        vocab_size=len(tokenizer),
        d_model=32,
        d_kv=8,
        d_ff=64,
        num_heads=4,
        num_layers=2,
        num_decoder_layers=2,
        decoder_start_token_id=0,
        pad_token_id=0,
        eos_token_id=1,
        dropout_rate=0.1,
        initializer_factor=initializer_factor,
    )
    return T5Backbone(T5ForConditionalGeneration(config), tokenizer, fingerprint="tiny")


def tiny_bert(kind: str = "bert", initializer_range: float = 0.3, pooling: str = "cls") -> BertBackbone:
    """An encoder with random weights and the nano encoder's vocabulary; "roberta" numbers positions differently."""
    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(NANO_BERT)
    shape = {"vocab_size": len(tokenizer), "hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 4}
    shape |= {"num_hidden_layers": 2, "initializer_range": initializer_range}
    if kind == "roberta":
        config = RobertaConfig(**shape, max_position_embeddings=514, type_vocab_size=1, pad_token_id=1)
        return BertBackbone(RobertaModel(config, add_pooling_layer=False), tokenizer, fingerprint="tiny")
    model = BertModel(BertConfig(**shape), add_pooling_layer=False)
    return BertBackbone(model, tokenizer, fingerprint="tiny", pooling=POOLINGS[pooling])


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real rows (fewglue/, superglue/), beside the checkout or where RPT_SHARED says."""
    beside = Path(__file__).resolve().parents[1].parent / "shared"
    folder = Path(os.environ.get("RPT_SHARED", beside))
    if not folder.is_dir():
        pytest.skip("there is no folder of real rows beside the checkout, nor does RPT_SHARED name one")
    return folder


@pytest.fixture(scope="session")
def cache(tmp_path_factory) -> Path:
    """Tokenised rows, shared by the tests of a session."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> str:
    """The word that puts a T5 of random weights in the nano's place, for runs whose answers no test looks at: a sweep
    takes half the time, but hardly an answer is a label."""
    folder, backbone = tmp_path_factory.mktemp("tiny"), tiny_t5(1.0)
    backbone.model.save_pretrained(folder)
    backbone.tokenizer.save_pretrained(folder)
    return f"backbone.path={folder}"


@pytest.fixture
def miniature(tmp_path, cache) -> list[str]:
    """Overrides of a run that needs no network, only writes to `tmp_path`, and is the same on every machine."""
    places = [f"results={tmp_path / 'results'}", f"data.cache={cache}"]
    return ["backbone=nano", "data=mini", "tracking=none", "trainer.precision=fp32", *places]


@pytest.fixture
def configure(miniature) -> Callable[..., Config]:
    """A miniature run's configuration, composed from the real YAML files: configure("task=cb", "lr=0.1")."""
    return functools.partial(compose_quickly, *miniature)


def compose_quickly(*overrides: str) -> Config:
    """The configuration that Hydra composes from the overrides.

    Each choice is composed once, and values are set as Hydra does it: to compose the whole takes a tenth of a second,
    and tests want hundreds of configurations.
    """
    arguments = OverridesParser.create().parse_overrides([*overrides])
    if any(word.type != OverrideType.CHANGE for word in arguments):  # +key=value and the like
        return to_config(_composed("train", *overrides))
    config = copy.deepcopy(_composed("train"))
    for word in sorted(arguments, key=lambda word: word.key_or_group not in GROUPS):  # choices before values
        key, value = word.key_or_group, word.value()
        if key in GROUPS:
            config[key] = _composed(None, f"+{key}={value}")[key]
        else:
            OmegaConf.update(config, key, value)
    return to_config(config)


@functools.cache
def _composed(primary: str | None, *arguments: str) -> DictConfig:
    with initialize_config_dir(config_folder(), version_base="1.3"):
        return compose(primary, list(arguments))


@pytest.fixture(scope="session")
def record(tmp_path_factory) -> Path:
    """The record of a short run on the miniature BoolQ, with its prompt; to be read only."""
    arguments = ["task=boolq", "backbone=nano", "data.shots=32", "trainer.max_steps=16", "backbone.max_tokens=256"]
    return recorded(tmp_path_factory.mktemp("record"), *arguments, "prompt.length=8")


@pytest.fixture(scope="session")
def encoder_record(tmp_path_factory) -> Path:
    """The record of a short run of the embedded encoder on the miniature COPA, whose rows are four sequences each: of
    both choices the two texts, read apart."""
    arguments = ["task=copa", "backbone=nano_bert", "data.shots=16", "trainer.max_steps=8", "trainer.eval_every=2"]
    return recorded(tmp_path_factory.mktemp("encoder"), *arguments, "prompt.length=8", "backbone.pooling=cosine")


def recorded(folder: Path, *arguments: str) -> Path:
    places = ["data=mini", "tracking=none", "trainer.precision=fp32", f"results={folder}", f"data.cache={folder}/cache"]
    with initialize_config_dir(config_folder(), version_base="1.3"):
        train(to_config(compose("train", [*arguments, *places])))
    (result,) = folder.rglob("result.json")
    return result.parent


@pytest.fixture
def command(tmp_path) -> Callable[..., Ended]:
    """Run `python -m rpt.train ...` (or another module) in an empty folder, as a user would."""

    def run(*arguments: str, module: str = "rpt.train", timeout: float = 240, **environment: str) -> Ended:
        return start(module, list(arguments), tmp_path, **environment).wait(timeout)

    return run
