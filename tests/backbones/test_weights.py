"""In which type weights are loaded and kept, and layers that are computed again."""

import sys

import pytest
import torch
from transformers import AutoModel, AutoModelForSeq2SeqLM, AutoTokenizer

from rpt.backbones import load_backbone
from rpt.backbones.base import recompute_layers
from rpt.config import BackboneConfig, MethodConfig
from rpt.errors import UsageError
from rpt.training.run.methods import make_trainable
from tests.conftest import NANO, NANO_BERT, tiny_bert, tiny_t5

LORA = MethodConfig("lora", peft={"peft_type": "LORA", "r": 2, "target_modules": ["q", "v"]})


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """A folder for each type and family: float32 weights that bf16 can hold, the bf16 ones in shards."""
    folders = {}
    for family, source, loader in (("t5", NANO, AutoModelForSeq2SeqLM), ("bert", NANO_BERT, AutoModel)):
        for dtype in (torch.float32, torch.bfloat16):
            folder = folders[family, dtype] = tmp_path_factory.mktemp("stored")
            model = loader.from_pretrained(source, dtype=torch.bfloat16).to(dtype)
            model.save_pretrained(folder, max_shard_size="50GB" if dtype == torch.float32 else "2MB")
            AutoTokenizer.from_pretrained(source).save_pretrained(folder)
    return folders


def loaded(place, family="t5", precision="fp32", placed=True, **keys):
    backbone = load_backbone(BackboneConfig("some", family, path=str(place), **keys), precision=precision)
    if placed:
        backbone.place(torch.device("cpu"), precision)
    return backbone


def loss_and_gradient(backbone):
    generator = torch.Generator().manual_seed(0)
    prompt = torch.randn(2, 3, backbone.d_model, generator=generator) * backbone.embeddings.float().std()
    prompt.requires_grad_()
    row, head = backbone.make_trial(20)
    heads = {name: torch.randn(2, *value.shape[1:], generator=generator) for name, value in head.items()}
    with backbone.autocast():
        losses = backbone.losses(prompt, torch.ones(2, 3, dtype=torch.long), backbone.collate([row] * 2, 3), heads)
    losses.sum().backward()
    return losses.detach(), prompt.grad


@pytest.mark.parametrize("family", ["t5", "bert"])
def test_shards_in_half_precision_are_loaded_so_and_change_no_number(stored, family):
    in_half = loaded(stored[family, torch.bfloat16], family, "bf16", placed=False)
    assert {weight.dtype for weight in in_half.model.parameters()} == {torch.bfloat16}
    in_half.place(torch.device("cpu"), "bf16")
    kinds = {weight.dtype for name, weight in in_half.model.named_parameters() if "norm" not in name.lower()}
    assert torch.bfloat16 in kinds and in_half.embeddings.dtype == torch.bfloat16
    whole = loaded(stored[family, torch.float32], family, "bf16")
    assert whole.fingerprint == in_half.fingerprint and whole.embeddings.dtype == torch.float32
    for ours, others in zip(loss_and_gradient(in_half), loss_and_gradient(whole), strict=True):
        assert torch.equal(ours, others)
    in_fp32 = loaded(stored[family, torch.bfloat16], family)
    assert {weight.dtype for weight in in_fp32.model.parameters()} == {torch.float32}


def test_bf16_keeps_the_embeddings_so_too(stored):
    backbone = loaded(stored["t5", torch.float32], precision="bf16", weights="bf16")
    assert backbone.embeddings.dtype == backbone.model.get_output_embeddings().weight.dtype == torch.bfloat16
    as_ever = loaded(stored["t5", torch.float32], precision="bf16", weights="float32")
    assert {weight.dtype for name, weight in as_ever.model.named_parameters() if "norm" not in name} == {torch.float32}
    assert as_ever.fingerprint == backbone.fingerprint


def test_lora_beside_weights_in_half_precision_is_float32(stored):
    trained = []
    for dtype in (torch.float32, torch.bfloat16):
        backbone = loaded(stored["t5", dtype], precision="bf16", placed=False)
        make_trainable(backbone, LORA, seed=0)
        backbone.place(torch.device("cpu"), "bf16")
        trained.append(backbone.trained)
    assert all(
        weight.dtype == torch.float32 and torch.equal(weight, trained[0][name]) for name, weight in trained[1].items()
    )


@pytest.mark.parametrize("make", [lambda: tiny_t5(1.0), tiny_bert])
def test_layers_computed_again_give_the_same_numbers_and_keep_less(make):
    saved, results = [], []

    def note(tensor):
        saved[-1] += tensor.nbytes
        return tensor

    for recomputes in (False, True):
        backbone = make()
        backbone.recomputes = recomputes
        backbone.place(torch.device("cpu"), "fp32")
        saved.append(0)
        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            results.append(loss_and_gradient(backbone))
    for ours, others in zip(*results, strict=True):
        assert torch.equal(ours, others)
    assert saved[1] < saved[0] / 2
    recompute_layers(backbone.model, dropout=False)  # a second time changes nothing
    assert torch.equal(loss_and_gradient(backbone)[0], results[0][0])


@pytest.mark.parametrize("weights", ["8bit", "4bit"])
def test_quantized_weights_are_near_the_others_and_small(weights):
    pytest.importorskip("bitsandbytes")
    plain, quantized = loaded(NANO), loaded(NANO, weights=weights)
    assert quantized.fingerprint == plain.fingerprint and quantized.frozen_parameters == plain.frozen_parameters
    sizes = [sum(weight.nbytes for weight in each.model.parameters()) for each in (plain, quantized)]
    assert sizes[1] < 0.6 * sizes[0]
    (loss, gradient), (near, other) = loss_and_gradient(plain), loss_and_gradient(quantized)
    torch.testing.assert_close(near, loss, rtol=0.1, atol=0.1)
    assert torch.cosine_similarity(gradient.flatten(), other.flatten(), dim=0) > 0.9
    adapted = loaded(NANO, weights=weights, placed=False)
    make_trainable(adapted, LORA, seed=0)
    adapted.place(torch.device("cpu"), "fp32")
    loss_and_gradient(adapted)
    assert all(weight.dtype == torch.float32 and weight.grad is not None for weight in adapted.trained.values())


def test_without_bitsandbytes_one_line_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    with pytest.raises(UsageError, match=r"weights=4bit needs bitsandbytes; pip install -e '\.\[quantized\]'"):
        loaded(NANO, weights="4bit")
