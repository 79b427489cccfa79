"""The attention of frozen backbones, beside transformers' own."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from transformers.models.t5.modeling_t5 import eager_attention_forward

from rpt.backbones.fast import attention

MODULE = torch.nn.Module().train(False)
MODULE.is_causal = False


@settings(max_examples=40)
@given(
    rows=st.integers(1, 4), heads=st.integers(1, 3), queries=st.integers(1, 7), keys=st.integers(1, 9),
    scaling=st.sampled_from([None, 1.0, 0.3]), biased=st.booleans(), masked=st.booleans(), block=st.integers(1, 400),
)  # fmt: skip
def test_states_and_gradients_are_those_of_plain_attention(
    rows: int, heads: int, queries: int, keys: int, scaling: float | None, biased: bool, masked: bool, block: int
) -> None:
    torch.manual_seed(rows + 10 * heads + 100 * queries)
    shapes = [(rows, queries, heads, 5), (rows, keys, heads, 5), (rows, keys, heads, 5)]
    inputs = [torch.randn(shape).transpose(1, 2).requires_grad_() for shape in shapes]  # as projections lay them out
    bias = torch.randn(1, heads, queries, keys) if biased else None
    mask = torch.zeros(rows, 1, queries, keys)
    mask[:, :, :, 1:].masked_fill_(torch.rand(rows, 1, 1, keys - 1) < 0.3, torch.finfo(torch.float32).min)
    mask = mask if masked else None
    weights = torch.randn(rows, queries, heads, 5)

    def states_and_gradients(function) -> list[Tensor]:
        states, _ = function(MODULE, *inputs, mask, scaling=scaling, position_bias=bias)
        return [states, *torch.autograd.grad((states * weights).sum(), inputs)]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(attention, "BLOCK", block)
        ours = states_and_gradients(attention.attend_in_blocks)
        with torch.no_grad():
            without_gradient, _ = attention.attend_in_blocks(MODULE, *inputs, mask, scaling=scaling, position_bias=bias)
    for each, plain in zip(ours, states_and_gradients(eager_attention_forward), strict=True):
        torch.testing.assert_close(each, plain)
    torch.testing.assert_close(without_gradient, ours[0])


def test_it_errs_no_more_than_plain_attention_in_half_precision() -> None:
    torch.manual_seed(0)
    exact = [torch.randn(3, 40, 4, 16).transpose(1, 2).requires_grad_() for _ in range(3)]
    rounded = [part.detach().bfloat16().requires_grad_() for part in exact]

    def gradients(function, inputs: list[Tensor]) -> list[Tensor]:
        states, _ = function(MODULE, *inputs, None, scaling=0.5)
        return [gradient.float() for gradient in torch.autograd.grad(states.float().square().sum(), inputs)]

    wanted = gradients(eager_attention_forward, exact)
    for want, each, plain in zip(
        wanted, gradients(attention.attend_in_blocks, rounded), gradients(eager_attention_forward, rounded), strict=True
    ):
        assert (each - want).norm() < 1.2 * (plain - want).norm()


@pytest.mark.parametrize(
    "overrides", [{"dropout": 0.1}, {"position_bias": torch.zeros(1, 1, 2, 2, requires_grad=True)}]
)
def test_what_it_is_not_made_for_is_refused(overrides: dict) -> None:
    part = torch.zeros(1, 1, 2, 4)
    with pytest.raises(NotImplementedError, match="frozen"):
        attention.attend_in_blocks(MODULE, part, part, part, None, **overrides)


def test_the_mask_of_fused_attention_is_made_once_and_as_its_kernels_want_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mask whose last dimension is not laid out densely makes torch fall back to plain attention in float32."""
    bias = torch.randn(6, 9, 2).permute(2, 0, 1)[None]  # T5's: heads innermost
    mask = torch.zeros(3, 1, 1, 9).masked_fill(torch.arange(9) > 6, torch.finfo(torch.float32).min)
    query, key, value = (torch.randn(3, n, 2, 8).transpose(1, 2).bfloat16() for n in (6, 9, 9))
    seen = []

    def attend(*parts: Tensor, attn_mask: Tensor, dropout_p: float, scale: float) -> Tensor:
        seen.append(attn_mask)
        return torch.nn.functional.scaled_dot_product_attention(
            *parts, attn_mask=attn_mask, dropout_p=dropout_p, scale=scale
        )

    monkeypatch.setattr(attention, "scaled_dot_product_attention", attend)
    overrides = {"scaling": 1.0, "position_bias": bias}
    states, _ = attention.attend_fused(MODULE, query, key, value, mask, **overrides)
    attention.attend_fused(MODULE, query, key, value, mask, **overrides)
    assert seen[0] is seen[1] and seen[0].stride(-1) == 1 and seen[0].dtype == torch.bfloat16
    plain, _ = attention.attend_in_blocks(MODULE, query, key, value, mask, **overrides)
    torch.testing.assert_close(states, plain, rtol=0.05, atol=0.05)
    attention.attend_fused(MODULE, query, key, value, mask.clone(), **overrides)
    assert seen[2] is not seen[0]
