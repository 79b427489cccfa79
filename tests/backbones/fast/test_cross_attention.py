"""The decoder's cross-attention without keys and values: what T5's own computes, in fewer operations."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode
from transformers.models.t5.modeling_t5 import T5Attention

from rpt.backbones import Row, T5Backbone
from rpt.backbones.base import fingerprint
from rpt.backbones.fast.cross_attention import AbsorbedAttention
from rpt.config import MethodConfig
from rpt.data.batches import pad
from rpt.training.run.methods import make_trainable
from tests.conftest import tiny_t5

CPU = torch.device("cpu")
TOKENS = st.lists(st.integers(3, 200), min_size=1, max_size=30)
ANSWERS = st.lists(st.integers(3, 200), min_size=1, max_size=12)
N = 5


@pytest.fixture(scope="module")
def backbones() -> tuple[T5Backbone, T5Backbone]:
    """The same weights, read as T5 does and without keys and values."""
    placed = tiny_t5(1.0)
    placed.place(CPU, "fp32")
    return tiny_t5(1.0), placed


def attentions(backbone: T5Backbone) -> list[T5Attention]:
    return [block.layer[1].EncDecAttention for block in backbone.model.decoder.block]


def gradients(module: T5Attention, hidden: Tensor, states: Tensor) -> list[Tensor]:
    """What is read, and the gradients of its squares."""
    inputs = [part.detach().to(module.q.weight.dtype).requires_grad_() for part in (hidden, states)]
    read, *_ = module(inputs[0], key_value_states=inputs[1])
    read.float().square().sum().backward()
    return [part.detach().float() for part in (read, *(each.grad for each in inputs))]


@settings(max_examples=25)
@given(
    rows=st.lists(st.tuples(TOKENS, ANSWERS, st.integers(1, N)), min_size=1, max_size=4),
    mask=st.sampled_from(["eager", "sdpa", "rpt_blocks"]),
)
def test_losses_gradients_and_answers_are_those_of_the_plain_model(backbones, rows, mask: str) -> None:
    table = torch.randn(len(rows), N, 32, generator=torch.Generator().manual_seed(0))
    prompt_mask = torch.stack([(torch.arange(N) >= N - ours).long() for *_, ours in rows])
    candidates = [list(answer) for answer in dict.fromkeys(tuple(answer) for _, answer, _ in rows)]
    actual = []
    for backbone in backbones:
        backbone.model.set_attn_implementation(mask)
        prompts = table.clone().requires_grad_()
        batch = backbone.collate([Row((text,), answer) for text, answer, _ in rows], N)
        losses = backbone.losses(prompts, prompt_mask, batch, {})
        (gradient,) = torch.autograd.grad(losses.sum(), prompts)
        with torch.no_grad():
            encoding = backbone.encode(prompts, prompt_mask, pad([text for text, *_ in rows], 0))
            answers = backbone.generate(encoding, 4), backbone.argmax_is(encoding, candidates).tolist()
        actual.append((losses, gradient, answers))
    (plain_losses, plain_gradient, plain_answers), (losses, gradient, answers) = actual
    torch.testing.assert_close(losses, plain_losses, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(gradient, plain_gradient, rtol=1e-4, atol=1e-5)
    assert answers == plain_answers


@settings(max_examples=40)
@given(rows=st.integers(1, 3), queries=st.integers(1, 24), states=st.integers(1, 60))
def test_the_way_with_fewer_operations_is_taken(backbones, rows: int, queries: int, states: int) -> None:
    plain, absorbed = (attentions(backbone)[0] for backbone in backbones)

    def cost(module: T5Attention) -> int:
        with FlopCounterMode(display=False) as counted:
            gradients(module, torch.randn(rows, queries, 32), torch.randn(rows, states, 32))
        return counted.get_total_flops()

    for backbone in backbones:
        backbone.model.set_attn_implementation("eager")  # the fused one computes its forward half again
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(AbsorbedAttention, "pays", lambda *_: True)
        least = min(cost(plain), cost(absorbed))
    assert cost(absorbed) == least


def test_its_error_in_half_precision_is_of_the_size_of_the_plain_way_s() -> None:
    torch.manual_seed(0)
    inputs = torch.randn(200, 3, 32), torch.randn(200, 50, 32)
    plain = attentions(tiny_t5(1.0))[0]
    wanted, rounded = gradients(plain, *inputs), gradients(plain.bfloat16(), *inputs)
    plain.__class__ = AbsorbedAttention
    for want, by_plain, ours in zip(wanted, rounded, gradients(plain, *inputs), strict=True):
        assert (ours - want).norm() < 2 * (by_plain - want).norm()


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_frozen_backbone_keeps_its_weights_and_their_names(precision: str) -> None:
    backbone = tiny_t5(1.0)
    before, names = fingerprint(backbone.model), list(backbone.model.state_dict())
    backbone.place(CPU, precision)
    assert all(type(each) is AbsorbedAttention for each in attentions(backbone))
    assert list(backbone.model.state_dict()) == names
    assert precision != "fp32" or fingerprint(backbone.model) == before


@pytest.mark.parametrize(
    "method",
    [
        MethodConfig(weights="layer_norm"),
        MethodConfig(weights="bias", biases=True),
        MethodConfig(peft={"peft_type": "LORA", "r": 2, "target_modules": ["k", "v"]}),
    ],
)
def test_a_backbone_with_something_trained_attends_as_t5_does(method: MethodConfig) -> None:
    backbone = tiny_t5(1.0)
    make_trainable(backbone, method, seed=0)
    backbone.place(CPU, "fp32")
    assert all(type(each) is T5Attention for each in attentions(backbone))


def test_a_backbone_that_drops_out_attends_as_t5_does() -> None:
    backbone = tiny_t5(1.0)
    backbone.dropout = True
    backbone.place(CPU, "fp32")
    assert all(type(each) is T5Attention for each in attentions(backbone))
