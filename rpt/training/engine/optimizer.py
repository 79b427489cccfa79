"""AdamW for several runs at once. Shapes: R runs."""

from __future__ import annotations

import torch
from torch import Tensor

from rpt.backbones.device import send
from rpt.training.run.run import TrainingRun

BETAS = (0.9, 0.999)
MOMENTS = ("exp_avg", "exp_avg_sq")  # AdamW's state of each parameter


class StackedAdamW(torch.optim.Optimizer):
    """torch.optim.AdamW on parameters [R, ...], with a learning rate and a step count for each run.

    trainer.adamw=transformers selects the AdamW of the published code, which transformers had until 4.50. It adds eps
    before the bias correction of the second moment, so that eps has up to 32 times the effect in the first steps, and
    it applies weight decay after the update:

        p = p - lr * sqrt(1 - b2^t) / (1 - b1^t) * m / (sqrt(v) + eps)
        p = p - lr * weight_decay * p

    Args:
        parameters: by name.
        runs: R; they have the learning rates, and their moments become views into the optimizer's.
    """

    def __init__(self, parameters: dict[str, Tensor], runs: list[TrainingRun]):
        trainer = runs[0].config.trainer
        groups = [
            {"params": [parameter], "lr": parameter.new_tensor([run.choose_lr(name) for run in runs])}
            for name, parameter in parameters.items()
        ]
        super().__init__(groups, {"eps": trainer.eps, "weight_decay": trainer.weight_decay})
        self._as_transformers = trainer.adamw == "transformers"
        self._runs = runs
        for name, parameter in parameters.items():
            moments = [run.moments.setdefault(name, {}) for run in runs]
            zeros = torch.zeros_like(parameter[0])
            for moment in MOMENTS:
                stacked = torch.stack([state.get(moment, zeros).to(parameter.device) for state in moments])
                for r, state in enumerate(moments):
                    state[moment] = stacked[r]
                self.state[parameter][moment] = stacked

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]  # nobody passes a closure
        for run in self._runs:
            run.progress.updates += 1
        parameters = [parameter for group in self.param_groups for parameter in group["params"]]
        gradients = [parameter.grad for parameter in parameters]
        first, second = ([self.state[parameter][moment] for parameter in parameters] for moment in MOMENTS)
        # In Python floats: float32 is too coarse.
        corrections = [[1 - beta**run.progress.updates for run in self._runs] for beta in BETAS]
        correct_first, correct_second = send(torch.tensor(corrections), parameters[0].device)

        def each(tensors: list[Tensor], per_run: list[Tensor]) -> list[Tensor]:
            return [tensor * align_runs(value, tensor) for tensor, value in zip(tensors, per_run, strict=True)]

        # One kernel for all parameters, except for values that differ between runs.
        torch._foreach_lerp_(first, gradients, 1 - BETAS[0])
        torch._foreach_mul_(second, BETAS[1])
        torch._foreach_addcmul_(second, gradients, gradients, value=1 - BETAS[1])
        rates = [group["lr"] for group in self.param_groups]
        updates = each(first, [lr / correct_first for lr in rates])
        scales = [moment / align_runs(correct_second, moment) for moment in second]
        torch._foreach_sqrt_(scales)
        if self._as_transformers:  # eps before the correction is eps / sqrt(correction) after it
            eps = self.defaults["eps"] / correct_second.sqrt()
            torch._foreach_add_(scales, [align_runs(eps, scale) for scale in scales])
        else:
            torch._foreach_add_(scales, self.defaults["eps"])
        torch._foreach_div_(updates, scales)
        if self.defaults["weight_decay"]:
            decays = [1 - lr * self.defaults["weight_decay"] for lr in rates]
            torch._foreach_copy_(parameters, each(parameters, decays))
            if self._as_transformers:  # decay comes after the update, and so applies to it too
                updates = each(updates, decays)
        torch._foreach_sub_(parameters, updates)


def align_runs(per_run: Tensor, like: Tensor) -> Tensor:
    """[R] as [R, 1, ...], which broadcasts over the parameter's other dimensions."""
    return per_run.view(-1, *[1] * (like.dim() - 1))
