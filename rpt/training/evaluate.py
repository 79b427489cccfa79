"""Predictions of a folded prompt and its head, and their scores."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from accelerate import Accelerator
from torch import Tensor

from rpt.backbones import Backbone, Encoded, Heads, Prediction, Row
from rpt.config import Config
from rpt.data import task_for
from rpt.training.memory import most_tokens


@dataclass(frozen=True)
class Evaluation:
    """scores in per cent; what each example earned, 0 to 1; predictions that are no answer of the task; rows/s."""

    scores: dict[str, float]
    predictions: list[Prediction]
    credits: list[float]
    no_label: int
    rows_per_second: float

    @property
    def constant(self) -> bool:
        """Whether every row got the same answer: the prompt has collapsed to one class."""
        return len(self.predictions) > 1 and len(set(self.predictions)) == 1


@torch.inference_mode()
def evaluate(
    backbone: Backbone, prompt: Tensor | None, head: Heads, encoded: Encoded, config: Config, accelerator: Accelerator
) -> Evaluation:
    """Predict every example and score the predictions.

    Args:
        prompt: folded, [N, d]; None evaluates the backbone without a prompt.
        head: what was trained beside the prompt, by name; empty where the backbone needs none.
    """
    task, protocol, began = (
        task_for(config),
        config.protocol.name,
        time.perf_counter(),
    )
    backbone.train(False)
    width = backbone.embeddings.shape[1]
    prompt = torch.empty(0, width, device=backbone.device) if prompt is None else prompt.to(backbone.device)
    head = {name: value.to(backbone.device) for name, value in head.items()}
    predict = backbone.predictor(task, protocol, config.trainer.decode)
    predictions: list[Prediction] = [None] * len(encoded.examples)
    text_width = config.backbone.max_tokens - len(prompt) if config.trainer.pad_to_max else None
    for batch in batches(encoded.rows, config.trainer.eval_batch_size, len(prompt), most_tokens(backbone)):
        some = Encoded([encoded.examples[i] for i in batch], [encoded.rows[i] for i in batch])
        with accelerator.autocast():
            answers = predict(prompt, head, some, text_width)
        for i, answer in zip(batch, answers, strict=True):
            predictions[i] = answer
    scores = task.score(encoded.examples, predictions, protocol)
    credits = [task.credit(e, p, protocol) for e, p in zip(encoded.examples, predictions, strict=True)]
    elapsed = time.perf_counter() - began
    return Evaluation(scores, predictions, credits, predictions.count(None), len(predictions) / elapsed)


def batches(
    rows: Sequence[Sequence[Row]], size: int, prompt: int = 0, max_tokens: float = math.inf
) -> Iterator[list[int]]:
    """Examples, given by their rows, of at most `size` sequences together, or one of more. Long ones first: a batch
    that does not fit memory fails at once and not at the end.

    Args:
        prompt: tokens before each sequence.
        max_tokens: of a batch, padding included.
    """
    batch, sequences, longest = [], 0, 0
    for i in sorted(range(len(rows)), key=lambda i: -max(row.length for row in rows[i])):
        own = sum(len(row.sequences) for row in rows[i])
        if batch and (sequences + own > size or (sequences + own) * longest > max_tokens):
            yield batch
            batch, sequences = [], 0
        if not batch:
            longest = prompt + max(row.length for row in rows[i])
        batch.append(i)
        sequences += own
    if batch:
        yield batch
