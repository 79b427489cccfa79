"""Folded prompts as safetensors. The key is the one that peft reads. Nothing is ever unpickled.

This is the one module of rpt.records that needs torch, and nothing that reports read may import it.
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from rpt.files import write_atomically

KEY = "prompt_embeddings"  # peft's name
HEAD = "head."  # before the names of a head's parameters
REMEDY = "give the prompt.safetensors of a finished run or a peft adapter's file"


def save_prompt(
    path: str | Path,
    prompt: Tensor,
    head: dict[str, Tensor] | None = None,
    metadata: dict[str, str] | None = None,
) -> None:
    """Write a folded prompt [N, d] as float32. A crash leaves the old file, or none, never half of one.

    Args:
        head: the parameters of what was trained beside the prompt (BERT), by name.
        metadata: goes into the file's header.
    """
    tensors = {KEY: prompt, **{f"{HEAD}{name}": value for name, value in (head or {}).items()}}
    tensors = {name: tensor.detach().cpu().float().contiguous() for name, tensor in tensors.items()}
    write_atomically(Path(path), save(tensors, metadata={"format": "pt", **(metadata or {})}))


def load_prompt(path: str | Path) -> Tensor:
    """A folded prompt [N, d], float32.

    Raises:
        ValueError: the file is missing or damaged, or what it holds is no prompt.
    """
    tensors = _read_tensors(path)
    if KEY not in tensors:
        raise ValueError(f"prompt {path} holds no {KEY!r} but {sorted(tensors)}; {REMEDY}")
    prompt = tensors[KEY]
    if prompt.dim() != 2 or not prompt.numel():
        raise ValueError(f"prompt {path} has shape {tuple(prompt.shape)} instead of [N, d]; {REMEDY}")
    return prompt


def load_head(path: str | Path) -> dict[str, Tensor]:
    """The parameters of the head beside a prompt, by name, float32; empty where there is none.

    Raises:
        ValueError: the file is missing or damaged.
    """
    return {name.removeprefix(HEAD): value for name, value in _read_tensors(path).items() if name.startswith(HEAD)}


def _read_tensors(path: str | Path) -> dict[str, Tensor]:
    try:
        with safe_open(path, framework="pt") as file:
            # Copies, not views of the file.
            tensors = {name: file.get_tensor(name).float().clone() for name in file.keys()}  # noqa: SIM118 (no mapping)
    except (OSError, SafetensorError) as error:
        raise ValueError(f"prompt {path} cannot be read ({error}); {REMEDY}") from error
    if not all(torch.isfinite(tensor).all() for tensor in tensors.values()):
        raise ValueError(f"prompt {path} has values that are not finite; its run diverged; {REMEDY}")
    return tensors
