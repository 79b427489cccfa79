"""The paper's LSTM baseline. It reads the prompt as a sequence. Shapes: N prompt tokens, d model width."""

from __future__ import annotations

from torch import Tensor, nn

from rpt.prompt_options import LSTMOptions
from rpt.prompts.reparameterization import Reparameterization, Start, register


@register("lstm")
class LSTM(Reparameterization):
    """P' = Linear(ReLU(Linear(LSTM(P)))), bidirectional, two layers of width d/2, no skip connection (published code).

    Args:
        dropout: between the two LSTM layers.

    Raises:
        ValueError: d is odd, or dropout outside [0, 1).
    """

    def __init__(self, start: Start, *, dropout: float = LSTMOptions.dropout):
        super().__init__(start)
        d_model = start.d_model
        if d_model % 2:
            raise ValueError(
                f"the LSTM's two directions share the width, so d_model={d_model} must be even; "
                "take another reparameterization or a backbone of even width"
            )
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout={dropout} is no share of units; give 0 or more and less than 1")
        self.table = nn.Parameter(start.table.clone())
        self.lstm = nn.LSTM(d_model, d_model // 2, num_layers=2, bidirectional=True, dropout=dropout)
        self.head = nn.Sequential(nn.Linear(d_model, d_model), nn.ReLU(), nn.Linear(d_model, d_model))

    def forward(self) -> Tensor:
        states, _ = self.lstm(self.table)  # unbatched: [N, d] is one sequence
        return self.head(states)
