"""Prompts of one shape as one tensor. Their heads too; or what a single run trains by another method.

Shapes: R runs, N prompt tokens, d model width.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable

import torch
from torch import Tensor
from torch.func import functional_call

from rpt.prompts import can_compute_together, compute_together
from rpt.prompts.prompt_file import HEAD
from rpt.training.engine.optimizer import StackedAdamW, align_runs
from rpt.training.run.run import WEIGHTS, TrainingRun


def stack_runs(runs: Iterable[TrainingRun], width: int) -> list[StackedRuns]:
    """One stack for each shape of prompts.

    Args:
        width: d.
    """
    groups: dict[Hashable, list[TrainingRun]] = defaultdict(list)
    for run in runs:
        prompt = run.config.prompt
        groups[prompt.reparameterization, prompt.length, tuple(prompt.options.items())].append(run)
    return [StackedRuns(group, width) for group in groups.values()]


class StackedRuns:
    """The parameters of several runs as tensors [R, ...], so that a few batched operations update all runs. The
    parameters and the optimizer state of a run become views into these tensors, so folding and checkpoints ignore the
    stack.

    Args:
        runs: of equal shape; a single run if it trains weights of the backbone.
        width: d.
    """

    def __init__(self, runs: list[TrainingRun], width: int):
        self.runs, self.width = runs, width
        self.prompt = runs[0].soft_prompt
        self.parameters: dict[str, Tensor] = {}
        for name in runs[0].parameters:
            originals = [run.parameters[name] for run in runs]
            stacked = torch.stack([parameter.detach() for parameter in originals])
            for r, parameter in enumerate(originals):
                parameter.data = stacked[r]
            self.parameters[name] = stacked.requires_grad_()
        self.optimizer = StackedAdamW(self.parameters, runs)
        buffers = [dict(run.soft_prompt.named_buffers()) for run in runs if run.soft_prompt]
        self.buffers = {name: torch.stack([each[name] for each in buffers]) for name in (buffers[0] if buffers else ())}
        self.together = self.prompt is not None and can_compute_together(self.prompt)

    def compute_prompts(self) -> Tensor:
        """The prompts P' of all runs [R, N, d]; N is 0 if none is trained."""
        if self.prompt is None:
            return torch.zeros(len(self.runs), 0, self.width, device=next(iter(self.parameters.values())).device)
        inputs = {name: p for name, p in self.parameters.items() if not name.startswith(HEAD)}
        inputs |= self.buffers
        if self.together:
            return compute_together(self.prompt, inputs)
        prompts = []
        for r, run in enumerate(self.runs):
            run.seed_dropout()
            prompts.append(functional_call(self.prompt, {name: p[r] for name, p in inputs.items()}, ()))
        return torch.stack(prompts)

    @property
    def heads(self) -> dict[str, Tensor]:
        """The heads' parameters [R, ...] by name; empty if the backbone needs no head."""
        return {name.removeprefix(HEAD): p for name, p in self.parameters.items() if name.startswith(HEAD)}

    def take_weight_gradients(self) -> None:
        """Move gradients from the backbone's weights, where backward passes leave them, to the stack."""
        for name, weight in self.runs[0].weights.items():
            gradient = torch.zeros_like(weight) if weight.grad is None else weight.grad
            self.parameters[f"{WEIGHTS}{name}"].grad, weight.grad = gradient[None], None

    @torch.no_grad()
    def clip_gradients(self, max_norm: float) -> None:
        """Scale down the gradient of each run whose norm exceeds `max_norm`."""
        gradients = [p.grad for p in self.parameters.values() if p.grad is not None]
        norms = torch.stack([g.flatten(1).square().sum(dim=1) for g in gradients]).sum(dim=0).sqrt()
        factors = (max_norm / (norms + 1e-6)).clamp(max=1.0)
        for gradient in gradients:
            gradient.mul_(align_runs(factors, gradient))
