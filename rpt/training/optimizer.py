"""AdamW for the parameters of several runs at once. Shapes: R runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from rpt.training.run import TrainingRun

BETAS = (0.9, 0.999)
MOMENTS = ("exp_avg", "exp_avg_sq")  # what AdamW keeps of each parameter


class StackedAdamW(torch.optim.Optimizer):
    """torch.optim.AdamW on parameters [R, ...], with a learning rate and a step count for each run.

    Args:
        parameters: by name.
        runs: R; they say the learning rates, and their moments become views into the optimizer's.
    """

    def __init__(self, parameters: dict[str, Tensor], runs: list[TrainingRun]):
        trainer = runs[0].config.trainer
        groups = [
            {"params": [parameter], "lr": parameter.new_tensor([run.choose_lr(name) for run in runs])}
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
    def step(self, closure: None = None) -> None:  # type: ignore[override]  # no closure is ever given
        for run in self._runs:
            run.progress.updates += 1
        # As Python floats: float32 is too coarse for them.
        corrections = [[1 - beta**run.progress.updates for run in self._runs] for beta in BETAS]
        per_run = [self.param_groups[0]["params"][0].new_tensor(correction) for correction in corrections]
        for group in self.param_groups:
            (parameter,) = group["params"]
            lr, *correction = (align_runs(each, parameter) for each in (group["lr"], *per_run))
            first, second = (self.state[parameter][moment] for moment in MOMENTS)
            parameter.mul_(1 - lr * group["weight_decay"])
            first.lerp_(parameter.grad, 1 - BETAS[0])
            second.mul_(BETAS[1]).addcmul_(parameter.grad, parameter.grad, value=1 - BETAS[1])
            parameter.sub_(lr / correction[0] * first / (second / correction[1]).sqrt_().add_(group["eps"]))


def align_runs(per_run: Tensor, like: Tensor) -> Tensor:
    """[R] as [R, 1, ...], to be broadcast over the parameter's other dimensions."""
    return per_run.view(-1, *[1] * (like.dim() - 1))
