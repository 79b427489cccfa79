"""The equation φ, without and with skip. It is the paper's bottleneck network (section 3).

Shapes: N prompt tokens, d model width, m bottleneck.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.functional import layer_norm as normalize

from rpt.prompt_options import MLPOptions
from rpt.prompts.reparameterization import Reparameterization, Start, register


@register("mlp")
class MLP(Reparameterization):
    """P' = phi(P) with phi = LayerNorm(up(ReLU(down(P)))).

    Args:
        bottleneck: m. Table 3b's 462K trained parameters are dN + 2dm + 2d with m = 250.
        layers: 1, or 2 such blocks one after the other, each with its own weights (the published MLP2 uses
            the same weights twice).
        shared: one phi for all tokens, or one per token (table 6).
        layer_norm: whether a block ends in LayerNorm.

    Raises:
        ValueError: bottleneck below 1, or layers neither 1 nor 2.
    """

    def __init__(
        self,
        start: Start,
        *,
        bottleneck: int = MLPOptions.bottleneck,
        layers: int = MLPOptions.layers,
        shared: bool = MLPOptions.shared,
        layer_norm: bool = MLPOptions.layer_norm,
    ):
        super().__init__(start)
        if bottleneck < 1:
            raise ValueError(f"bottleneck={bottleneck} leaves no hidden units; give 1 or more")
        if layers not in (1, 2):
            raise ValueError(f"layers={layers} is not one of the paper's networks; give 1 or 2")
        self.table = nn.Parameter(start.table.clone())
        d_model = start.d_model
        linear = nn.Linear if shared else partial(LinearPerToken, start.length)
        norm = nn.LayerNorm if shared else partial(LayerNormPerToken, start.length)
        self.phi = nn.Sequential()
        for _ in range(layers):
            self.phi.extend([linear(d_model, bottleneck), nn.ReLU(), linear(bottleneck, d_model)])
            if layer_norm:
                self.phi.append(norm(d_model))

    def forward(self) -> Tensor:
        return self.phi(self.table)


@register("residual")
class Residual(MLP):
    """P' = P + phi(P): residual prompt tuning. The skip goes around the whole phi."""

    def forward(self) -> Tensor:
        return self.table + self.phi(self.table)


class LinearPerToken(nn.Module):
    """N linear maps, each initialised as nn.Linear and applied to its own token: [N, in] -> [N, out]."""

    def __init__(self, length: int, inputs: int, outputs: int):
        super().__init__()
        maps = [nn.Linear(inputs, outputs) for _ in range(length)]
        self.weight = nn.Parameter(torch.stack([each.weight.detach() for each in maps]))  # [N, out, in]
        self.bias = nn.Parameter(torch.stack([each.bias.detach() for each in maps]))  # [N, out]

    def forward(self, tokens: Tensor) -> Tensor:
        return torch.einsum("noi,ni->no", self.weight, tokens) + self.bias


class LayerNormPerToken(nn.Module):
    """LayerNorm with a gain and a shift for each token: [N, d] -> [N, d]."""

    def __init__(self, length: int, width: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(length, width))
        self.bias = nn.Parameter(torch.zeros(length, width))

    def forward(self, tokens: Tensor) -> Tensor:
        return normalize(tokens, tokens.shape[-1:]) * self.weight + self.bias
