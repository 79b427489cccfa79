"""Plain prompt tuning, where the table is the prompt. Lester et al. 2021."""

from torch import Tensor, nn

from rpt.prompts.reparameterization import Reparameterization, Start, register


@register("identity")
class Identity(Reparameterization):
    """P' = P."""

    def __init__(self, start: Start):
        super().__init__(start)
        self.table = nn.Parameter(start.table.clone())

    def forward(self) -> Tensor:
        return self.table
