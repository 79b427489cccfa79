"""How many tokens a forward and backward pass may hold. Shapes: B rows, S tokens, d model width."""

from __future__ import annotations

import math

import torch
from accelerate import Accelerator
from torch import Tensor

from rpt.backbones import Backbone
from rpt.config import Config

CACHE_TOKENS = 4096  # a processor's caches hold about so many; larger passes were slower (results/benchmark)
PASS_TOKENS = 256  # a pass on a processor costs so many tokens' time beyond its own
SHARE = 0.8  # of the free memory
TEMPORARY = 2.0  # what a pass needs at its peak, as a multiple of what it keeps for its backward half


def max_tokens(config: Config, backbone: Backbone, accelerator: Accelerator) -> float:
    """Tokens, padding included, that a pass may hold: what the user says, or what this device has room for."""
    if config.pack.max_tokens is not None:
        return config.pack.max_tokens
    if backbone.device.type != "cuda":
        return most_tokens(backbone)
    torch.cuda.empty_cache()  # what an earlier pack has left behind is free as well
    width, (free, _) = config.backbone.max_tokens, torch.cuda.mem_get_info()
    return max(1, int(SHARE * free / (TEMPORARY * kept_bytes(backbone, accelerator, width)))) * width


def most_tokens(backbone: Backbone) -> float:
    """Tokens, padding included, beyond which a pass is slower on this device, even if there is room for it."""
    return math.inf if backbone.device.type == "cuda" else CACHE_TOKENS


def pass_tokens(backbone: Backbone) -> float:
    """What a pass costs on this device beyond its tokens, in tokens. Not measured on GPUs yet: as few passes as fit."""
    return 10**6 if backbone.device.type == "cuda" else PASS_TOKENS


def kept_bytes(backbone: Backbone, accelerator: Accelerator, width: int) -> int:
    """Bytes that a row of so many tokens keeps for its backward pass, measured in a trial of one row."""
    weights = {parameter.untyped_storage().data_ptr() for parameter in backbone.model.parameters()}
    kept: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    prompt = torch.zeros(1, 1, backbone.embeddings.shape[1], device=backbone.device, requires_grad=True)
    row, head = backbone.trial(width - 1)
    mask = torch.ones(1, 1, dtype=torch.long, device=backbone.device)
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor), accelerator.autocast():
        loss = backbone.losses(prompt, mask, [row], head)
    del loss
    return sum(kept.values())
