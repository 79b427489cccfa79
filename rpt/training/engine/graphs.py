"""Passes recorded as CUDA graphs. A pass through a frozen backbone is some thousand kernels, most of them shorter than
it takes to launch one; a graph launches them all at once. Shapes: B rows, N prompt tokens, d model width."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Hashable
from typing import Any

import torch
from torch import Tensor

from rpt.backbones import Backbone, Batch, Heads
from rpt.errors import first_line

log = logging.getLogger(__name__)
MULTIPLE = 32  # to which widths are padded, so that there are few shapes
MAX_TOKENS = 32_768  # of a pass, padding included; a larger pass keeps the device busy without a graph
RECORD_AFTER = 2  # passes of a shape before it is recorded, which takes as long as several passes
MAX_GRAPHS = 48  # shapes
MEMORY_SHARE = 0.25  # of the device's memory, beyond which no further graph is recorded: evaluation needs the rest


class GraphedLosses:
    """`backbone.losses`, recorded as a graph for each frequent shape. A graph computes the same numbers as its kernels.

    Args:
        enabled: as asked for; without a GPU, or if the backbone is trained, drops out or recomputes its layers,
            nothing is recorded.
        gpu_processes: processes that compute on the same GPU, this one included.
    """

    def __init__(self, backbone: Backbone, enabled: bool = True, gpu_processes: int = 1):
        self.backbone, self._share = backbone, MEMORY_SHARE / gpu_processes
        self.enabled = enabled and backbone.device.type == "cuda" and backbone.frozen and not backbone.recomputes
        self._met: Counter[Hashable] = Counter()
        self._recorded: dict[Hashable, Callable[..., Any]] = {}
        self._pool: tuple[int, int] | None = None
        self._reserved = 0  # bytes, by recording
        self._full = False

    def choose_multiple(self, rows: int, longest: int) -> int:
        """The multiple to which widths are padded.

        Args:
            longest: tokens of the longest row, including the prompt.
        """
        return MULTIPLE if self.enabled and rows * (longest + MULTIPLE) <= MAX_TOKENS else 1

    def __call__(self, prompts: Tensor, prompt_mask: Tensor, batch: Batch, heads: Heads) -> Tensor:
        """The losses [B] of rows behind prompts [B, N, d]; the arguments are those of `Backbone.losses`."""
        inputs = (prompts, prompt_mask, *batch.values(), *heads.values())
        tokens = len(prompts) * (prompts.shape[1] + batch["ids"].shape[1])
        if not self.enabled or tokens > MAX_TOKENS:
            return self.backbone.losses(prompts, prompt_mask, batch, heads)
        shape = tuple((tuple(each.shape), each.requires_grad) for each in inputs)
        if shape not in self._recorded:
            self._met[shape] += 1
            worth_it = self._met[shape] >= RECORD_AFTER and not self._full
            if not (worth_it and self._record(shape, inputs, batch, heads)):
                return self.backbone.losses(prompts, prompt_mask, batch, heads)
        return self._recorded[shape](*inputs)

    def _record(self, shape: Hashable, inputs: tuple[Tensor, ...], batch: Batch, heads: Heads) -> bool:
        """Record the shape; returns whether that succeeded."""
        names = len(batch)

        def losses(prompts: Tensor, prompt_mask: Tensor, *rest: Tensor) -> Tensor:
            named = dict(zip(batch, rest[:names], strict=True)), dict(zip(heads, rest[names:], strict=True))
            return self.backbone.losses(prompts, prompt_mask, *named)

        samples = tuple(each.detach().clone().requires_grad_(each.requires_grad) for each in inputs)
        try:
            self._pool = self._pool or torch.cuda.graph_pool_handle()  # they run in turn, so they can share memory
            options: dict[str, Any] = {"num_warmup_iters": 1, "pool": self._pool}
            reserved = torch.cuda.memory_reserved()
            self._recorded[shape] = torch.cuda.make_graphed_callables(losses, samples, **options)
            self._reserved += torch.cuda.memory_reserved() - reserved
            _, total = torch.cuda.mem_get_info()
            self._full = len(self._recorded) >= MAX_GRAPHS or self._reserved > self._share * total
        except Exception as error:
            self.enabled = False
            log.warning("No CUDA graphs from here on: %s", first_line(error))
        return self.enabled
