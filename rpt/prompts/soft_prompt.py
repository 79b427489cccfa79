"""A soft prompt in training, and folding it into what is kept. Shapes: N prompt tokens, d model width."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from rpt.prompts.reparameterization import REPARAMETERIZATIONS


class SoftPrompt(nn.Module):
    """P' = reparameterization(P), float32 always.

    Args:
        table: P [N, d], copied.
        reparameterization: a registered name.
        options: of that reparameterization.

    Raises:
        ValueError: the table is not [N, d] with N >= 1, the name is unknown, or an option's value is refused.
    """

    def __init__(self, table: Tensor, reparameterization: str, **options: Any):
        super().__init__()
        if table.dim() != 2 or len(table) < 1:
            raise ValueError(f"the table has shape {tuple(table.shape)}; give [N, d] with at least one token")
        if reparameterization not in REPARAMETERIZATIONS:
            known = ", ".join(REPARAMETERIZATIONS)
            raise ValueError(f"reparameterization {reparameterization!r} is unknown; choose one of: {known}")
        length, d_model = table.shape
        self.table = nn.Parameter(table.detach().float().clone())
        self.reparameterization = REPARAMETERIZATIONS[reparameterization](length, d_model, **options).float()

    def forward(self) -> Tensor:
        """P' [N, d]. No autocast here: what is trained is small, and rounding it would save nothing."""
        with torch.autocast(self.table.device.type, enabled=False):
            return self.reparameterization(self.table)

    @torch.no_grad()
    def fold(self) -> Tensor:
        """P' [N, d] on its own, without dropout: all that is kept after training (paper, section 3)."""
        training = self.training
        self.eval()
        try:
            return self().clone()
        finally:
            self.train(training)

    @property
    def trained_parameters(self) -> int:
        """How many numbers are trained."""
        return sum(parameter.numel() for parameter in self.parameters())

    @property
    def kept_parameters(self) -> int:
        """How many are left once folded: N * d."""
        return self.table.numel()
