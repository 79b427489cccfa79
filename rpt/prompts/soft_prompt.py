"""The prompt in training, and folding it. Shapes: R runs, N prompt tokens, d model width."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from rpt.prompts.reparameterization import REPARAMETERIZATIONS, Start

TABLE = "reparameterization.table"  # the parameter that holds the prompt table, if a reparameterization has one


class SoftPrompt(nn.Module):
    """P' = reparameterization(), always in float32.

    Args:
        start: its initial values.
        reparameterization: a registered name.
        options: of that reparameterization.

    Raises:
        ValueError: the table is not [N, d] with N >= 1, the name is unknown, or the class refuses an option's value.
    """

    def __init__(self, start: Start, reparameterization: str, **options: int | float | bool | str):
        super().__init__()
        table = start.table
        if table.dim() != 2 or len(table) < 1:
            raise ValueError(f"the table has shape {tuple(table.shape)}; give [N, d] with at least one token")
        if reparameterization not in REPARAMETERIZATIONS:
            known = ", ".join(REPARAMETERIZATIONS)
            raise ValueError(f"reparameterization {reparameterization!r} is unknown; choose one of: {known}")
        start = Start(table.detach().float(), start.embeddings)
        self.reparameterization = REPARAMETERIZATIONS[reparameterization](start, **options).float()
        self.kept_parameters = table.numel()  # numbers left after folding: N * d

    def forward(self) -> Tensor:
        """P' [N, d], without autocast: the trained part is small, so lower precision would save nothing."""
        with torch.autocast(next(self.parameters()).device.type, enabled=False):
            return self.reparameterization()

    @torch.no_grad()
    def fold(self) -> Tensor:
        """P' [N, d] without dropout: all that inference needs (paper, section 3)."""
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


def compute_together(prompt: SoftPrompt, states: dict[str, Tensor]) -> Tensor:
    """The prompts P' [R, N, d] of several runs at once.

    Args:
        prompt: that of any run.
        states: the `state_dict`s of all runs, stacked: [R, ...] each.
    """
    return vmap(lambda state: functional_call(prompt, state, ()))(states)


@torch.no_grad()
def can_compute_together(prompt: SoftPrompt) -> bool:
    """Try whether `compute_together` accepts the prompt: not with dropout or an operation that vmap loops over."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            compute_together(prompt, {name: value[None] for name, value in prompt.state_dict().items()})
        except (RuntimeError, UserWarning):
            return False
    return True
