"""First values of the prompt table, float32 (paper, table 4; Lester et al. 2021).

Shapes: V vocabulary, N prompt tokens (length), d model width.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import torch
from torch import Tensor

from rpt.prompts.files import load_prompt


def from_vocabulary(embeddings: Tensor, length: int, generator: torch.Generator) -> Tensor:
    """Rows sampled uniformly from embeddings [V, d], none twice unless N > V. [N, d]."""
    vocabulary, device = len(embeddings), generator.device
    if length <= vocabulary:
        rows = torch.randperm(vocabulary, generator=generator, device=device)[:length]
    else:
        rows = torch.randint(vocabulary, (length,), generator=generator, device=device)
    return embeddings.detach()[rows.to(embeddings.device)].float()


def uniform(length: int, d_model: int, generator: torch.Generator, bound: float = 0.5) -> Tensor:
    """Uniform in [-bound, bound], the paper's random initialisation. [N, d]."""
    return torch.empty(length, d_model, device=generator.device).uniform_(-bound, bound, generator=generator)


def from_text(embeddings: Tensor, token_ids: list[int], length: int, generator: torch.Generator) -> Tensor:
    """Rows of a text's tokens in order, cut or filled up with sampled vocabulary rows. [N, d].

    Raises:
        ValueError: the text has no tokens.
    """
    if not token_ids:
        raise ValueError("the text to start from has no tokens; give one, or start from the vocabulary")
    if len(token_ids) > length:
        excess = len(token_ids) - length
        warnings.warn(f"length={length} is short of the text, its last {excess} tokens are cut", stacklevel=2)
    return _filled(embeddings.detach()[token_ids[:length]].float(), embeddings, length, generator)


def from_labels(
    embeddings: Tensor, label_token_ids: list[list[int]], length: int, generator: torch.Generator
) -> Tensor:
    """A row per label, the mean of its sub-words' rows; then sampled vocabulary rows. [N, d].

    Raises:
        ValueError: more labels than prompt tokens, no labels, or a label without tokens.
    """
    labels = len(label_token_ids)
    if labels > length:
        raise ValueError(f"{labels} labels do not fit into length={length}; give length={labels} or more")
    if not labels or not all(label_token_ids):
        raise ValueError(f"labels {label_token_ids} need tokens each; give them, or use another start")
    means = [embeddings.detach()[ids].float().mean(dim=0) for ids in label_token_ids]
    return _filled(torch.stack(means), embeddings, length, generator)


def from_saved(path: str | Path, length: int, d_model: int) -> Tensor:
    """A saved prompt, [N, d].

    Raises:
        ValueError: the file cannot be read, or its prompt has another shape.
    """
    prompt = load_prompt(path)
    if tuple(prompt.shape) != (length, d_model):
        raise ValueError(
            f"prompt {path} has shape {tuple(prompt.shape)}, this run needs {(length, d_model)}; "
            f"set length={len(prompt)} and take the backbone that it was trained with"
        )
    return prompt


def _filled(rows: Tensor, embeddings: Tensor, length: int, generator: torch.Generator) -> Tensor:
    return torch.cat([rows, from_vocabulary(embeddings, length - len(rows), generator)])
