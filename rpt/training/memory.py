"""How many tokens a forward and backward pass may hold. Shapes: R runs."""

from __future__ import annotations

import logging
from collections.abc import Callable

import torch
from torch import Tensor

from rpt.backbones import Backbone
from rpt.backbones.device import cap_pass
from rpt.config import Config

log = logging.getLogger(__name__)
SHARE = 0.8  # of the free memory
TEMPORARY = 2.0  # what a pass needs at its peak, as a multiple of what it keeps for its backward half


class PassLimit:
    """The most tokens of a pass, padding included; fewer once the device's memory has run out.

    Args:
        max_tokens: at first.
    """

    def __init__(self, max_tokens: float):
        self.max_tokens = max_tokens

    def fit(
        self, run_passes: Callable[[float], Tensor], forget: Callable[[], None], rows: int, longest_row: int
    ) -> Tensor:
        """What `run_passes` gives, asked again with half as many tokens a pass each time that memory runs out.

        Args:
            forget: lets go of what a failed try has left behind.
            rows: how many the passes hold together.
            longest_row: tokens that a single one may have.

        Raises:
            torch.OutOfMemoryError: a single row is too much.
        """
        while True:
            try:
                return run_passes(self.max_tokens)
            except torch.OutOfMemoryError:
                if self.max_tokens <= longest_row:
                    raise
            self.max_tokens = min(self.max_tokens, rows * longest_row) // 2
            forget()  # outside of the handler, whose exception holds on to the memory
            torch.cuda.empty_cache()
            log.warning("Out of memory; passes of at most %d tokens from here on.", self.max_tokens)


def choose_max_tokens(config: Config, backbone: Backbone) -> float:
    """Tokens, padding included, that a pass may hold: what the user says, or what this device has memory for."""
    if config.pack.max_tokens is not None:
        return config.pack.max_tokens
    if backbone.device.type != "cuda":
        return cap_pass(backbone.device)
    torch.cuda.empty_cache()  # what an earlier pack has left behind is free as well
    width, (free, _) = config.backbone.max_tokens, torch.cuda.mem_get_info()
    return max(1, int(SHARE * free / (TEMPORARY * measure_kept_bytes(backbone, width)))) * width


def measure_kept_bytes(backbone: Backbone, width: int) -> int:
    """Bytes that a row of so many tokens keeps for its backward pass, by a trial of one row."""
    weights = {parameter.untyped_storage().data_ptr() for parameter in backbone.model.parameters()}
    kept: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    prompt = torch.zeros(1, 1, backbone.embeddings.shape[1], device=backbone.device, requires_grad=True)
    row, head = backbone.make_trial(width - 1)
    mask = torch.ones(1, 1, dtype=torch.long, device=backbone.device)
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor), backbone.autocast():
        loss = backbone.losses(prompt, mask, backbone.collate([row], 1), head)
    del loss
    return sum(kept.values())
