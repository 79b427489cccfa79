"""Decomposed prompt tuning (DPT). Xiao et al., Findings of EMNLP 2023, arXiv 2310.10094.

Shapes: N prompt tokens, d model width, b bottleneck.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rpt.prompt_options import DecomposedOptions
from rpt.prompts.reparameterization import Reparameterization, Start, register


@register("decomposed")
class Decomposed(Reparameterization):
    """P' = A B with A [N, b] and B [b, d], both initialised uniformly in [-0.5, 0.5]: b (N + d) parameters.

    `prompt.init` has no effect. The paper has N = 100, learning rate 0.3, weight decay 1e-5. LoPT-1 (arXiv 2406.19486)
    has the same form.

    Args:
        bottleneck: b.

    Raises:
        ValueError: bottleneck below 1.
    """

    def __init__(self, start: Start, *, bottleneck: int = DecomposedOptions.bottleneck):
        super().__init__(start)
        if bottleneck < 1:
            raise ValueError(f"bottleneck={bottleneck} leaves no rank; give 1 or more")
        self.a = nn.Parameter(torch.rand(start.length, bottleneck) - 0.5)
        self.b = nn.Parameter(torch.rand(bottleneck, start.d_model) - 0.5)

    def forward(self) -> Tensor:
        return self.a @ self.b
