"""First values of the prompt table. They are float32 (paper, table 4; Lester et al. 2021).

Shapes: V vocabulary, N prompt tokens (length), d model width.
"""

from __future__ import annotations

import warnings

import torch
from torch import Tensor


def from_vocabulary(embeddings: Tensor, length: int, generator: torch.Generator) -> Tensor:
    """Rows sampled uniformly from embeddings [V, d], without replacement unless N > V. [N, d]."""
    vocabulary, device = len(embeddings), generator.device
    if length <= vocabulary:
        rows = torch.randperm(vocabulary, generator=generator, device=device)[:length]
    else:
        rows = torch.randint(vocabulary, (length,), generator=generator, device=device)
    return embeddings.detach()[rows.to(embeddings.device)].float()


def uniform(length: int, d_model: int, generator: torch.Generator, bound: float = 0.5) -> Tensor:
    """Uniform values in [-bound, bound], the paper's random initialisation. [N, d]."""
    return torch.empty(length, d_model, device=generator.device).uniform_(-bound, bound, generator=generator)


def from_text(embeddings: Tensor, token_ids: list[int], length: int, generator: torch.Generator) -> Tensor:
    """The embeddings of a text's tokens in order, cut to N or filled up with sampled vocabulary rows. [N, d].

    Raises:
        ValueError: the text has no tokens.
    """
    if not token_ids:
        raise ValueError("the text to start from has no tokens; give one, or start from the vocabulary")
    if len(token_ids) > length:
        excess = len(token_ids) - length
        warnings.warn(f"prompt.length={length} cuts the last {excess} tokens off the text", stacklevel=2)
    return _fill_up(embeddings.detach()[token_ids[:length]].float(), embeddings, length, generator)


def from_labels(
    embeddings: Tensor, label_token_ids: list[list[int]], length: int, generator: torch.Generator
) -> Tensor:
    """A row for each label, the mean of its tokens' embeddings, then sampled vocabulary rows. [N, d].

    Raises:
        ValueError: there are more labels than prompt tokens, no labels, or a label without tokens.
    """
    labels = len(label_token_ids)
    if labels > length:
        raise ValueError(f"{labels} labels do not fit into prompt.length={length}; give prompt.length={labels} or more")
    if not labels or not all(label_token_ids):
        raise ValueError(f"labels {label_token_ids} need tokens each; give them, or use another start")
    means = [embeddings.detach()[ids].float().mean(dim=0) for ids in label_token_ids]
    return _fill_up(torch.stack(means), embeddings, length, generator)


def _fill_up(rows: Tensor, embeddings: Tensor, length: int, generator: torch.Generator) -> Tensor:
    """The rows, filled up to the length with sampled vocabulary rows. [N, d]."""
    return torch.cat([rows, from_vocabulary(embeddings, length - len(rows), generator)])
