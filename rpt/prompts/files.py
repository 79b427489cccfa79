"""Folded prompts on disk: safetensors, with the key that peft reads. Nothing is ever unpickled."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from rpt.files import write_atomically

KEY = "prompt_embeddings"  # peft's name


def save_prompt(
    path: str | Path,
    prompt: Tensor,
    head: dict[str, Tensor] | None = None,
    metadata: dict[str, str] | None = None,
) -> None:
    """Write a folded prompt [N, d] as float32. A crash leaves the old file, or none, never half of one.

    Args:
        head: trained beside the prompt (BERT), by the names under which it is to be found again.
        metadata: goes into the file's header.

    Raises:
        ValueError: a tensor of the head has the prompt's name.
    """
    if head and KEY in head:
        raise ValueError(f"the head's {KEY!r} would overwrite the prompt in {path}; give it another name")
    tensors = {KEY: prompt, **(head or {})}
    tensors = {name: tensor.detach().cpu().float().contiguous() for name, tensor in tensors.items()}
    write_atomically(Path(path), save(tensors, metadata={"format": "pt", **(metadata or {})}))


def load_prompt(path: str | Path) -> Tensor:
    """A folded prompt [N, d], float32.

    Raises:
        ValueError: the file is missing or damaged, or what it holds is no prompt.
    """
    remedy = "give the prompt.safetensors of a finished run or a peft adapter's file"
    try:
        with safe_open(path, framework="pt") as file:
            if KEY not in file.keys():  # noqa: SIM118 (no mapping)
                raise ValueError(f"prompt {path} holds no {KEY!r} but {sorted(file.keys())}; {remedy}")
            prompt = file.get_tensor(KEY).float().clone()  # a copy, not a view of the file
    except (OSError, SafetensorError) as error:
        raise ValueError(f"prompt {path} cannot be read ({error}); {remedy}") from error
    if prompt.dim() != 2 or not prompt.numel():
        raise ValueError(f"prompt {path} has shape {tuple(prompt.shape)} instead of [N, d]; {remedy}")
    if not torch.isfinite(prompt).all():
        raise ValueError(f"prompt {path} has values that are not finite; its run diverged; {remedy}")
    return prompt
