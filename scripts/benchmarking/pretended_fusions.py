"""Functions with one kernel on CUDA and several operations elsewhere, for meta tensors of the pretended GPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import rms_norm

from benchmarking.pretended_kernels import Gpu


def attend(
    gpu: Gpu, query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None, dropout_p: float = 0.0,
    is_causal: bool = False, scale: float | None = None, enable_gqa: bool = False,
) -> Tensor:  # fmt: skip
    """scaled_dot_product_attention with the memory-efficient kernel, which accepts a mask."""
    if attn_mask is not None:
        if attn_mask.dtype == torch.bool:
            attn_mask = torch.zeros_like(attn_mask, dtype=query.dtype).masked_fill_(~attn_mask, -torch.inf)
        missing = -attn_mask.shape[-1] % 8
        if missing:  # its rows must begin at multiples of 16 bytes
            attn_mask = torch.nn.functional.pad(attn_mask, (0, missing))[..., : attn_mask.shape[-1]]
        attn_mask = attn_mask.expand(*query.shape[:-1], key.shape[-2])
    for_backward = torch.is_grad_enabled() and any(t.requires_grad for t in (query, key, value))
    return torch.ops.aten._scaled_dot_product_efficient_attention(
        query, key, value, attn_mask, for_backward, dropout_p, is_causal, scale=scale
    )[0]


def normalize(gpu: Gpu, input: Tensor, normalized_shape: list[int], weight: Tensor, eps: float) -> Tensor:
    """rms_norm, which is fused if input and weight have one precision; here only for frozen weights."""
    if input.dtype != weight.dtype or weight.requires_grad:
        return rms_norm(input, normalized_shape, weight, eps)
    return _Norm.apply(gpu, input)


class _Norm(torch.autograd.Function):
    """The fused norm; torch only differentiates it for tensors on CUDA."""

    @staticmethod
    def forward(ctx: Any, gpu: Gpu, input: Tensor) -> Tensor:
        ctx.gpu = gpu
        gpu.count("_fused_rms_norm")
        return torch.empty_like(input)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, Tensor]:
        ctx.gpu.count("_fused_rms_norm_backward")
        return None, torch.empty_like(gradient)


FUSED: dict[str, Callable[..., Tensor]] = {"scaled_dot_product_attention": attend, "rms_norm": normalize}
