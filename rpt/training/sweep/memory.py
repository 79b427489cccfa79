"""How many tokens a pass may hold."""

from __future__ import annotations

import torch
from torch import Tensor

from rpt.backbones import Backbone
from rpt.backbones.device import cap_pass, measure_free_memory
from rpt.config import Config

SHARE = 0.8  # of the room that there is
TEMPORARY = 2.0  # what a pass needs at its peak, as a multiple of what it keeps for its backward half


def choose_max_tokens(config: Config, backbone: Backbone, gpu_processes: int = 1) -> float:
    """Tokens, padding included, that a pass may hold: what the user says, or what this device has memory for.

    Args:
        gpu_processes: processes that compute on the same GPU, this one included.
    """
    if config.pack.max_tokens is not None:
        return config.pack.max_tokens
    if backbone.device.type != "cuda":
        return cap_pass(backbone.device)
    width, free = config.backbone.max_tokens, measure_free_memory(gpu_processes)
    return max(1, int(SHARE * free / (TEMPORARY * measure_kept_bytes(backbone, width)))) * width


def measure_kept_bytes(backbone: Backbone, width: int) -> int:
    """Bytes that a row of so many tokens keeps for its backward pass, by a trial of one row."""
    weights = {parameter.untyped_storage().data_ptr() for parameter in backbone.model.parameters()}
    sizes: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    prompt = torch.zeros(1, 1, backbone.d_model, device=backbone.device, requires_grad=True)
    row, head = backbone.make_trial(width - 1)
    mask = torch.ones(1, 1, dtype=torch.long, device=backbone.device)
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor), backbone.autocast():
        loss = backbone.losses(prompt, mask, backbone.collate([row], 1), head)
    del loss
    return sum(sizes.values())
