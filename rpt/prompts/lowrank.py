"""LoPT-2, the non-linear low-rank prompt. Guo et al. 2024, arXiv 2406.19486.

Shapes: N prompt tokens, d model width, r rank.
"""

from __future__ import annotations

from torch import Tensor, nn

from rpt.prompt_options import LowRankOptions
from rpt.prompts.reparameterization import Reparameterization, Start, register


@register("lowrank")
class LowRank(Reparameterization):
    """P' = ReLU(X0 U) V with trained U [d, r] and V [r, d], 2 d r parameters, and frozen X0 [N, d].

    `prompt.init` initialises X0. The paper has a thresholding nonlinearity; here it is ReLU. U and V are initialised
    as nn.Linear's weights, which is our choice.

    Args:
        rank: r; the paper's best values are 2 to 5.

    Raises:
        ValueError: rank below 1.
    """

    def __init__(self, start: Start, *, rank: int = LowRankOptions.rank):
        super().__init__(start)
        if rank < 1:
            raise ValueError(f"rank={rank} leaves no rank; give 1 or more")
        self.register_buffer("first", start.table.clone())
        self.u = nn.Linear(start.d_model, rank, bias=False)
        self.v = nn.Linear(rank, start.d_model, bias=False)

    def forward(self) -> Tensor:
        return self.v(self.u(self.first).relu())
