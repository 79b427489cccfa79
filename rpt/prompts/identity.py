"""Plain prompt tuning (Lester et al. 2021): the table is the prompt."""

from torch import Tensor

from rpt.prompts.reparameterization import Reparameterization, register


@register("identity")
class Identity(Reparameterization):
    """No parameters of its own."""

    batched = True

    def forward(self, table: Tensor) -> Tensor:
        return table
