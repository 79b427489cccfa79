"""The frozen norm is T5's own, forward and backward, and takes its place only where nothing trains the weight."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from transformers.models.t5.modeling_t5 import T5LayerNorm

from rpt.backbones.fast.norm import FrozenNorm
from rpt.config import MethodConfig
from rpt.training.run.methods import make_trainable
from tests.conftest import tiny_t5

# Two roundings: of the norm and of the product with its weight.
TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 2 * 2**-8}


def normed(norm: nn.Module, states: Tensor, outward: Tensor) -> tuple[Tensor, Tensor]:
    """What comes out, and the gradient of its product with `outward`."""
    states = states.clone().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=norm.weight.dtype == torch.bfloat16):
        out = norm(states)
    out.backward(outward.to(out.dtype))
    return out.detach(), states.grad


@given(
    shape=st.tuples(st.integers(1, 3), st.integers(1, 5), st.sampled_from([8, 33])),
    scale=st.sampled_from([0.0, 1e-4, 1.0, 1e3]),
    weight=st.sampled_from(list(TOLERANCE)),
    states=st.sampled_from([torch.float32, torch.bfloat16]),
    seed=st.integers(0, 99),
)
def test_it_is_t5s_own(shape, scale: float, weight: torch.dtype, states: torch.dtype, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    given_states, outward, factors = (torch.randn(size, generator=generator) for size in (shape, shape, shape[-1:]))
    actual = []
    for cls in (T5LayerNorm, FrozenNorm):
        norm = cls(shape[-1]).requires_grad_(False)
        norm.weight.data = factors.to(weight)
        actual.append(normed(norm, (scale * given_states).to(states), outward))
    for theirs, ours in zip(*actual, strict=True):
        assert ours.dtype == theirs.dtype and ours.shape == theirs.shape
        near = max(TOLERANCE[weight], TOLERANCE[theirs.dtype])
        assert (ours - theirs).abs().max() <= near * max(1e-6, theirs.abs().max())


@pytest.mark.parametrize(
    "method, trained",
    [
        (MethodConfig(weights="layer_norm"), True),
        (MethodConfig(peft={"peft_type": "LORA", "r": 2, "target_modules": ["k", "v"]}), False),
    ],
)
def test_a_norm_that_is_trained_stays_t5s(method: MethodConfig, trained: bool) -> None:
    backbone = tiny_t5(1.0)
    make_trainable(backbone, method, seed=0)
    backbone.place(torch.device("cpu"), "fp32")
    norms = [module for module in backbone.model.modules() if isinstance(module, T5LayerNorm)]
    assert norms and all(isinstance(norm, FrozenNorm) != trained for norm in norms)
