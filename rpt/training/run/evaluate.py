"""Predictions and scores of a folded prompt."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from rpt.backbones import Backbone, Encoded, Heads
from rpt.backbones.device import cap_evaluation_pass
from rpt.backbones.pass_limit import PassLimit
from rpt.config import Config
from rpt.tasks import Prediction


@dataclass(frozen=True)
class Evaluation:
    """scores: in per cent. credits: the score of each example, 0 to 1. no_label: how many predictions are no answer of
    the task. prompt_norm: mean L2 norm of the prompt's vectors; None without a prompt."""

    scores: dict[str, float]
    predictions: list[Prediction]
    credits: list[float]
    no_label: int
    rows_per_second: float
    prompt_norm: float | None

    @property
    def constant(self) -> bool:
        """Whether every row got the same answer: the prompt has collapsed to one class."""
        return len(self.predictions) > 1 and len(set(self.predictions)) == 1


@torch.inference_mode()
def evaluate(
    backbone: Backbone,
    prompt: Tensor | None,
    head: Heads,
    encoded: Encoded,
    config: Config,
    limit: PassLimit | None = None,
) -> Evaluation:
    """Predict every example and score the predictions.

    Args:
        prompt: folded, [N, d]; None evaluates the backbone without a prompt.
        head: the parameters of the head, by name; empty if the backbone needs none.
        limit: of a pass, shared by the evaluations of a run; None starts at the device's default.

    Raises:
        RuntimeError: a single example exceeds the memory.
    """
    began = time.perf_counter()
    task, trainer = encoded.task, config.trainer
    backbone.train(False)
    prompt = torch.empty(0, backbone.d_model, device=backbone.device) if prompt is None else prompt.to(backbone.device)
    head = {name: value.to(backbone.device) for name, value in head.items()}
    text_width = config.backbone.max_tokens - len(prompt) if trainer.pad_to_max else None

    def ask(batch: list[int]) -> list[tuple[Callable[[], list[Prediction]], int]]:
        with backbone.autocast():
            read = backbone.predict(prompt, head, encoded.pick(batch), trainer.decode, text_width)
        read = cache(read)
        return [(read, place) for place in range(len(batch))]

    limit = limit or PassLimit(cap_evaluation_pass(backbone.device))
    pending = limit.batch(ask, encoded.rows, trainer.eval_batch_size, len(prompt))
    predictions = [read()[place] for read, place in pending]  # only now: reading waits for the device
    scores = task.score(encoded.examples, predictions)
    credits = [task.credit(e, p) for e, p in zip(encoded.examples, predictions, strict=True)]
    norm = prompt.norm(dim=1).mean().item() if len(prompt) else None
    elapsed = time.perf_counter() - began
    return Evaluation(scores, predictions, credits, predictions.count(None), len(predictions) / elapsed, norm)
