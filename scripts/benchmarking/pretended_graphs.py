"""CUDA graphs on the pretended GPU of pretended_gpu.py.

To record one raises where the real one would, and where it copies from the host, which every replay would do again from
the same place. A replay computes anew, counts as one launch, and writes where the one before it has written.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from benchmarking.pretended_kernels import IN_GRAPH, Gpu


class GraphedCallable:
    """What torch.cuda.make_graphed_callables makes of a function of tensors that gives one tensor."""

    def __init__(self, gpu: Gpu, function: Callable[..., Tensor], samples: tuple[Tensor, ...]):
        self.gpu, self.function = gpu, function
        self.output: Tensor | None = None
        self.gradients: list[Tensor] = []
        function(*samples)  # to warm up: may wait
        recorded = self(*samples)
        torch.autograd.grad(recorded.sum(), [each for each in samples if each.requires_grad])

    def __call__(self, *inputs: Tensor) -> Tensor:
        return _Replay.apply(self, *inputs)


class _Replay(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, graph: GraphedCallable, *inputs: Tensor) -> Tensor:
        graph.gpu.count("graph")
        ctx.graph, ctx.inputs = graph, [each.detach().requires_grad_(each.requires_grad) for each in inputs]
        with graph.gpu.having(phase=f"forward{IN_GRAPH}"), torch.enable_grad():
            ctx.output = graph.function(*ctx.inputs)
        with graph.gpu.having(is_uncounted=True):
            graph.output = ctx.output.detach().clone() if graph.output is None else graph.output.copy_(ctx.output)
        return graph.output.detach()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        graph = ctx.graph
        graph.gpu.count("graph")
        trained = [each for each in ctx.inputs if each.requires_grad]
        with graph.gpu.having(phase=f"backward{IN_GRAPH}"):
            gradients = torch.autograd.grad(ctx.output, trained, gradient)
        with graph.gpu.having(is_uncounted=True):
            graph.gradients = graph.gradients or [each.clone() for each in gradients]
            for stored, each in zip(graph.gradients, gradients, strict=True):
                stored.copy_(each)
        stored = iter(graph.gradients)
        return None, *(next(stored).detach() if each.requires_grad else None for each in ctx.inputs)
