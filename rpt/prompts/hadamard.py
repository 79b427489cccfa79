"""The part of MPT for each task. Multitask prompt tuning is Wang et al., ICLR 2023, arXiv 2303.02861.

Shapes: N prompt tokens, d model width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rpt.prompt_options import HadamardOptions
from rpt.prompts.reparameterization import Reparameterization, Start, register


@register("hadamard")
class Hadamard(Reparameterization):
    """P' = S * (u v): a shared prompt S [N, d], element by element times a column u [N, 1] by a row v [1, d].

    S is what `prompt.init` asks for, `saved` to adapt the prompt of another task: N d + N + d trained numbers. u and v
    begin as ones, so that P' begins as S. How MPT distils S from several tasks is no part of this.

    Args:
        train_shared: S is trained too, as in the paper's adaptation to a target task; false: u and v alone, N + d.
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
