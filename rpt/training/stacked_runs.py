"""Prompts of one shape, and the heads that go with them, trained side by side; or what one run trains instead.

Shapes: R runs, N prompt tokens, d model width.
"""

from __future__ import annotations

from collections.abc import Hashable

import torch
from torch import Tensor
from torch.func import functional_call, vmap

from rpt.prompts import HEAD
from rpt.training.run import WEIGHTS, TrainingRun

BETAS = (0.9, 0.999)
MOMENTS = ("exp_avg", "exp_avg_sq")  # what AdamW keeps of each parameter


def shape_of(run: TrainingRun) -> Hashable:
    """Runs of equal shape can stand in one stack."""
    prompt = run.config.prompt
    return prompt.reparameterization, prompt.length, tuple(prompt.options.items())


class StackedRuns:
    """The parameters of several runs, each kept as one tensor [R, ...], so that all of them take one step in a few
    batched operations. A run's own parameters and optimizer state become views into these tensors, so folding and
    checkpointing need not know of the stack.

    Args:
        runs: of equal shape; one alone if it trains weights of the backbone.
        width: d.
    """

    def __init__(self, runs: list[TrainingRun], width: int):
        self.runs, self.width = runs, width
        self.prompt = runs[0].soft_prompt
        self.parameters: dict[str, Tensor] = {}
        for name in runs[0].parameters:
            own = [run.parameters[name] for run in runs]
            stacked = torch.stack([parameter.detach() for parameter in own])
            for r, parameter in enumerate(own):
                parameter.data = stacked[r]
            self.parameters[name] = stacked.requires_grad_()
        self.optimizer = StackedAdamW(self.parameters, runs)

    def __call__(self) -> Tensor:
        """Every run's prompt P' [R, N, d]; N is 0 where none is trained."""
        if self.prompt is None:
            return torch.zeros(len(self.runs), 0, self.width, device=next(iter(self.parameters.values())).device)
        own = {name: p for name, p in self.parameters.items() if not name.startswith(HEAD)}
        if self.prompt.reparameterization.batched:
            return vmap(lambda parameters: functional_call(self.prompt, parameters, ()))(own)
        prompts = []
        for r, run in enumerate(self.runs):
            run.seed_step()
            prompts.append(functional_call(self.prompt, {name: p[r] for name, p in own.items()}, ()))
        return torch.stack(prompts)

    @property
    def heads(self) -> dict[str, Tensor]:
        """Every run's head: its parameters [R, ...] by name, and none where the backbone needs no head."""
        return {name.removeprefix(HEAD): p for name, p in self.parameters.items() if name.startswith(HEAD)}

    def collect(self) -> None:
        """Take over the gradients that backward passes left at the backbone's own weights."""
        for name, weight in self.runs[0].weights.items():
            gradient = torch.zeros_like(weight) if weight.grad is None else weight.grad
            self.parameters[f"{WEIGHTS}{name}"].grad, weight.grad = gradient[None], None

    @torch.no_grad()
    def clip(self, longest: float) -> None:
        """Scale down every run's gradient whose norm is over `longest`, each by itself."""
        gradients = [p.grad for p in self.parameters.values()]
        norms = torch.stack([g.flatten(1).square().sum(dim=1) for g in gradients]).sum(dim=0).sqrt()
        factors = (longest / (norms + 1e-6)).clamp(max=1.0)
        for gradient in gradients:
            gradient.mul_(_along(factors, gradient))


class StackedAdamW(torch.optim.Optimizer):
    """torch.optim.AdamW on parameters [R, ...], with a learning rate and a step count for each run.

    Args:
        parameters: by name.
        runs: R; they say the learning rates, and their moments become views into the optimizer's.
    """

    def __init__(self, parameters: dict[str, Tensor], runs: list[TrainingRun]):
        trainer = runs[0].config.trainer
        groups = [
            {"params": [parameter], "lr": parameter.new_tensor([run.lr_of(name) for run in runs])}
            for name, parameter in parameters.items()
        ]
        super().__init__(groups, {"eps": trainer.eps, "weight_decay": trainer.weight_decay})
        self._runs = runs
        for name, parameter in parameters.items():
            own = [run.moments.setdefault(name, {}) for run in runs]
            zeros = torch.zeros_like(parameter[0])
            for moment in MOMENTS:
                stacked = torch.stack([of_run.get(moment, zeros).to(parameter.device) for of_run in own])
                for r, of_run in enumerate(own):
                    of_run[moment] = stacked[r]
                self.state[parameter][moment] = stacked

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        for run in self._runs:
            run.progress.updates += 1
        # As Python floats: float32 is too coarse for them.
        corrections = [[1 - beta**run.progress.updates for run in self._runs] for beta in BETAS]
        per_run = [self.param_groups[0]["params"][0].new_tensor(correction) for correction in corrections]
        for group in self.param_groups:
            (parameter,) = group["params"]
            lr, *correction = (_along(each, parameter) for each in (group["lr"], *per_run))
            first, second = (self.state[parameter][moment] for moment in MOMENTS)
            parameter.mul_(1 - lr * group["weight_decay"])
            first.lerp_(parameter.grad, 1 - BETAS[0])
            second.mul_(BETAS[1]).addcmul_(parameter.grad, parameter.grad, value=1 - BETAS[1])
            parameter.sub_(lr / correction[0] * first / (second / correction[1]).sqrt_().add_(group["eps"]))


def _along(per_run: Tensor, like: Tensor) -> Tensor:
    """[R] as [R, 1, ...], to be broadcast over the parameter's other dimensions."""
    return per_run.view(-1, *[1] * (like.dim() - 1))
