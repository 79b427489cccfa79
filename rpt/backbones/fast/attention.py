"""Attention block by block. Shapes: B rows, H heads, S queries, T keys, k width of a head.

On a GPU torch's fused kernel, which wants mask and bias of positions as one tensor of all scores' shape. T5's layers
share both, so the sum is made once for all of them, not once for each.

On a processor in half precision the scores stay in its caches:
transformers' plain attention writes several tensors of all scores [B, H, S, T] to main memory, in float32; torch's
fused one wants mask and bias added up for every row first, and its backward pass in bf16 is slower still. So the scores
are made and used block by block. The bias of a frozen backbone's positions and the mask need no gradient.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import eager_mask

BLOCKS, FUSED = "rpt_blocks", "rpt_fused"  # as transformers' models are told to use them
BLOCK = 2**19  # scores at once: as float32 about a core's second-level cache


def attend_in_blocks(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    position_bias: Tensor | None = None,
    **_: object,
) -> tuple[Tensor, None]:
    """What transformers asks of an attention function: [B, S, H, k] from queries, keys and values [B, H, ·, k].

    Args:
        attention_mask: added to the scores: [B, 1, S or 1, T]. position_bias: too: [1, H, S, T].

    Raises:
        NotImplementedError: the attention drops out, or its position bias is trained.
    """
    if dropout or (position_bias is not None and position_bias.requires_grad):
        raise NotImplementedError(f"attention {BLOCKS!r} is for frozen backbones without dropout.")
    scaling = query.shape[-1] ** -0.5 if scaling is None else scaling
    added = [part for part in (position_bias, attention_mask) if part is not None]
    return _Blocks.apply(query, key, value, scaling, *added), None


class _Blocks(torch.autograd.Function):
    """Softmax attention whose backward pass starts from the kept probabilities, in the precision of the queries."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, scaling: float, *added: Tensor) -> Tensor:
        (rows, heads, queries, _), keys = query.shape, key.shape[2]
        probabilities = query.new_empty(rows, heads, queries, keys)
        out = torch.empty_like(query.transpose(1, 2))
        for block in _blocks(probabilities):
            scores = torch.matmul(query[block], key[block].transpose(2, 3)).float()
            if scaling != 1.0:
                scores.mul_(scaling)
            for each in added:
                scores.add_(_of(each, block))
            torch.softmax(scores, dim=-1, out=scores)
            softmax = probabilities[block].copy_(scores)
            out.transpose(1, 2)[block] = torch.matmul(softmax, value[block])
        ctx.scaling = scaling
        ctx.save_for_backward(query, key, value, probabilities)
        return out

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        query, key, value, probabilities = ctx.saved_tensors
        gradient = gradient.transpose(1, 2)
        # Laid out as the projections before them are, so that these read them without a copy.
        to_query, to_key, to_value = (torch.empty_like(t.transpose(1, 2)).transpose(1, 2) for t in (query, key, value))
        for block in _blocks(probabilities):
            softmax = probabilities[block]
            to_value[block] = torch.matmul(softmax.transpose(2, 3), gradient[block])
            softmax, to_softmax = softmax.float(), torch.matmul(gradient[block], value[block].transpose(2, 3)).float()
            to_scores = to_softmax.mul_(softmax).sub_(softmax.mul_(to_softmax.sum(dim=-1, keepdim=True)))
            if ctx.scaling != 1.0:
                to_scores.mul_(ctx.scaling)
            to_scores = to_scores.to(query.dtype)
            to_query[block] = torch.matmul(to_scores, key[block])
            to_key[block] = torch.matmul(to_scores.transpose(2, 3), query[block])
        return to_query, to_key, to_value, *[None] * (len(ctx.needs_input_grad) - 3)


def _blocks(scores: Tensor) -> Iterator[tuple[slice, slice]]:
    """Rows and heads of [B, H, S, T] whose scores fit the cache, or one head of one row."""
    rows, heads, queries, keys = scores.shape
    of_heads = min(heads, max(1, BLOCK // (queries * keys)))
    of_rows = max(1, BLOCK // (queries * keys * heads))
    for row in range(0, rows, of_rows):
        for head in range(0, heads, of_heads):
            yield slice(row, row + of_rows), slice(head, head + of_heads)


def _of(added: Tensor, block: tuple[slice, slice]) -> Tensor:
    """The block's part of what may be the same for all rows or heads."""
    rows, heads = block
    return added[rows if len(added) > 1 else slice(None), heads if added.shape[1] > 1 else slice(None)]


def attend_fused(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    position_bias: Tensor | None = None,
    **_: object,
) -> tuple[Tensor, None]:
    """As `attend_in_blocks`, with dropout and gradients for everything."""
    added = _add_up(position_bias, attention_mask, query.dtype)
    out = scaled_dot_product_attention(query, key, value, attn_mask=added, dropout_p=dropout, scale=scaling)
    return out.transpose(1, 2), None


def _add_up(bias: Tensor | None, mask: Tensor | None, dtype: torch.dtype) -> Tensor | None:
    """Bias of positions and mask as one. The sum is kept at the bias, which lives as long as a pass through a stack of
    layers; each layer hands it on to the next."""
    if bias is None or mask is None:
        either = mask if bias is None else bias
        return None if either is None else either.to(dtype)
    cached = getattr(bias, "_rpt_sum", None)
    if cached is None or cached[0] is not mask:
        # T5's bias comes with its heads innermost, and torch's fused kernels take no such mask: it would fall back to
        # the plain attention, in float32, without a word.
        cached = bias._rpt_sum = mask, (bias + mask).to(dtype).contiguous()  # type: ignore[attr-defined]
    return cached[1]


for name, function in ((BLOCKS, attend_in_blocks), (FUSED, attend_fused)):
    AttentionInterface.register(name, function)
    AttentionMaskInterface.register(name, eager_mask)
