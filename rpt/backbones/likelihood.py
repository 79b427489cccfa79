"""How likely answers are. Shapes: B rows, L answer tokens."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import cross_entropy

NO_LABEL = -100  # fills labels [B, L] to equal length and carries no loss


def sum_losses(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of each row's answer, summed over its tokens: [B], float32.

    Args:
        logits: [B, L, pieces]. labels: [B, L].
    """
    losses = cross_entropy(logits.float().flatten(0, 1), labels.flatten(), ignore_index=NO_LABEL, reduction="none")
    return losses.view(labels.shape).sum(dim=1)


def sum_gaps(logits: Tensor, labels: Tensor) -> Tensor:
    """How much less likely each row's answer is than its likeliest tokens, each beside the likeliest one in its place,
    in nats summed over its tokens: [B], float32. It is 0 for the greedy answer and positive for any other.

    Args:
        logits: [B, L, pieces]. labels: [B, L].
    """
    logits, padding = logits.float(), labels == NO_LABEL
    chosen = logits.gather(2, labels.masked_fill(padding, 0)[..., None])[..., 0]
    return (logits.amax(dim=2) - chosen).masked_fill(padding, 0).sum(dim=1)
