"""A norm whose weight is frozen. It passes over memory a third as often as autograd's, and on a GPU it is one kernel.

Shapes: d model width; r is the inverse root mean square of a state x [d], whose norm is y = x r w.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import rms_norm
from transformers.models.t5.modeling_t5 import T5LayerNorm


class FrozenNorm(T5LayerNorm):
    """T5's, the same up to rounding; its weight gets no gradient.

    Attributes:
        precision: of what it gives, so that the products behind it need no casts.
    """

    precision: torch.dtype

    def forward(self, hidden_states: Tensor) -> Tensor:
        """[..., d] in `precision` from [..., d], whose own is the gradient's."""
        if hidden_states.is_cuda:  # where torch has it fused, if states and weight are of one precision
            normed = rms_norm(hidden_states, self.weight.shape, self.weight, self.variance_epsilon)
            return normed.to(self.precision)
        return _Norm.apply(hidden_states, self.weight, self.variance_epsilon)


class _Norm(torch.autograd.Function):
    """dx = r (dy w) - x r³ mean(dy w x), in float32."""

    @staticmethod
    def forward(ctx: Any, states: Tensor, weight: Tensor, epsilon: float) -> Tensor:
        length = torch.linalg.vector_norm(states, dim=-1, keepdim=True, dtype=torch.float32)
        scale = length.square_().div_(states.shape[-1]).add_(epsilon).rsqrt_()
        ctx.save_for_backward(states, scale, weight)
        return (states * scale).to(weight.dtype) * weight

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        states, scale, weight = ctx.saved_tensors
        gradient, states = (gradient * weight).float(), states.float()
        along = (gradient * states).sum(dim=-1, keepdim=True).mul_(scale.pow(3)).div_(states.shape[-1])
        return gradient.mul_(scale).addcmul_(states, along, value=-1), None, None
