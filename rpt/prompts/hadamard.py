"""Multitask prompt tuning's part for each task. Wang et al., ICLR 2023, arXiv 2303.02861.

Shapes: N prompt tokens, d model width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rpt.prompt_options import HadamardOptions
from rpt.prompts.reparameterization import Reparameterization, Start, register


@register("hadamard")
class Hadamard(Reparameterization):
    """P' = S * (u v): the elementwise product of a shared prompt S [N, d] and a column u [N, 1] times a row v [1, d].

    `prompt.init` initialises S; `saved` adapts the prompt of another task. N d + N + d parameters. u and v begin as
    ones, so that P' begins as S. MPT's distillation of S from several tasks is not implemented.

    Args:
        train_shared: train S too, as the paper does to adapt to a target task; false: train u and v, N + d parameters.
    """

    def __init__(self, start: Start, *, train_shared: bool = HadamardOptions.train_shared):
        super().__init__(start)
        if train_shared:
            self.table = nn.Parameter(start.table.clone())
        else:
            self.register_buffer("table", start.table.clone())
        self.column = nn.Parameter(torch.ones(start.length, 1))
        self.row = nn.Parameter(torch.ones(1, start.d_model))

    def forward(self) -> Tensor:
        return self.table * (self.column * self.row)
