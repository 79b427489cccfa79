"""An output layer rounded once. Shapes: V vocabulary, d model width."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import linear


class RoundedOutput(nn.Linear):
    """As under autocast. The weight keeps float32, for it may be the embedding table, which prompts start from.

    Attributes:
        rounded: the weight in half precision, [V, d].
    """

    rounded: Tensor

    def forward(self, states: Tensor) -> Tensor:
        """[..., V] from [..., d]."""
        if torch.is_autocast_enabled(states.device.type):
            return linear(states, self.rounded, self.bias)
        return super().forward(states)


def round_output(layer: nn.Linear, dtype: torch.dtype) -> None:
    """Let the layer keep a rounded copy of its weight [V, d]."""
    layer.__class__ = RoundedOutput
    layer.register_buffer("rounded", layer.weight.detach().to(dtype), persistent=False)
