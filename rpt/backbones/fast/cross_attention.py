"""Cross-attention without projected states. A frozen T5 decoder projects its few queries instead of the encoder's many
states.

Shapes: B rows, H heads, L queries, S states, d model width, k width of a head.

A head's scores are (x Q)(s K)ᵀ = (x Q Kᵀ) sᵀ and what it reads is P (s V) = (P s) V: its keys and values need never be
made, nor kept for the backward pass. T5 adds nothing to them and gives cross-attention no bias of positions.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, einsum
from transformers import Cache
from transformers.models.t5.modeling_t5 import T5Attention


class AbsorbedAttention(T5Attention):
    """T5's, the same up to rounding, where that has fewer operations."""

    def forward(
        self,
        hidden_states: Tensor,
        mask: Tensor | None = None,
        key_value_states: Tensor | None = None,
        position_bias: Tensor | None = None,
        past_key_values: Cache | None = None,
        **options: Any,
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """[B, L, d] from hidden_states [B, L, d] and key_value_states [B, S, d]; then a position bias for the next
        layer and the probabilities, which this way does not hand out.

        Args:
            mask: [B, 1, L or 1, S]: added to the scores, or False where a state is hidden.
            past_key_values: a cache wants keys and values, so with one it is T5's own way.
        """
        states, queries = key_value_states, hidden_states.shape[1]
        projects = past_key_values is not None or self.training
        if states is None or projects or not self.pays(queries, states.shape[1]):
            return super().forward(hidden_states, mask, states, position_bias, past_key_values, **options)
        heads = (self.n_heads, self.key_value_proj_dim)
        key, value = (layer.weight.unflatten(0, heads) for layer in (self.k, self.v))
        query = einsum("blhk,hkd->bhld", self.q(hidden_states).unflatten(-1, heads), key)
        scores = einsum("bhld,bsd->bhls", query, states).float()
        if mask is not None:
            hidden = torch.finfo(scores.dtype).min
            scores = scores.masked_fill(~mask, hidden) if mask.dtype == torch.bool else scores + mask
        probabilities = scores.softmax(dim=-1).to(query.dtype)
        read = einsum("bhls,bsd->bhld", probabilities, states)
        read = einsum("bhld,hkd->blhk", read, value)
        return self.o(read.flatten(2)), None, None

    def pays(self, queries: int, states: int) -> bool:
        """Whether a training step has fewer operations this way: fewer than about 2/3 k queries.

        Forward and backward, a projection by frozen weights is computed twice, a product of attention three times.
        Prediction, which is forward alone, would gain up to k queries, but so little that one rule is enough.
        """
        width, of_head = self.d_model, self.key_value_proj_dim
        plain = states * of_head * (2 * width + 3 * queries)
        return queries * width * (2 * of_head + 3 * states) < plain
