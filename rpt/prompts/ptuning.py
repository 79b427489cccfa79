"""P-tuning's prompt encoder. Liu et al. 2021. Shapes: N prompt tokens, d model width, h hidden units."""

from __future__ import annotations

from torch import Tensor, nn

from rpt.prompt_options import PTuningOptions
from rpt.prompts.reparameterization import Reparameterization, Start, register


@register("ptuning")
class PTuning(Reparameterization):
    """P' = Linear(ReLU(Linear(ReLU(Linear(P))))), the layers of peft's PromptEncoder, no skip connection.

    Args:
        hidden: h; 0 is d, as in peft.

    Raises:
        ValueError: hidden is negative.
    """

    def __init__(self, start: Start, *, hidden: int = PTuningOptions.hidden):
        super().__init__(start)
        if hidden < 0:
            raise ValueError(f"hidden={hidden} is no number of units; give 1 or more, or 0 for the model's width")
        self.table = nn.Parameter(start.table.clone())
        d_model = start.d_model
        hidden = hidden or d_model
        self.mlp_head = nn.Sequential(
            nn.Linear(d_model, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, d_model)
        )

    def forward(self) -> Tensor:
        return self.mlp_head(self.table)
