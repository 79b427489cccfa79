"""Predictions of a folded prompt, and their scores."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor

from rpt.backbones import T5Backbone
from rpt.config import Config
from rpt.data.batches import pad
from rpt.data.tokens import Encoded, encode_answers
from rpt.tasks import TASKS, Example, Task
from rpt.tasks.metrics import clean

Prediction = int | str | None


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
    backbone: T5Backbone, prompt: Tensor | None, encoded: Encoded, config: Config, accelerator: Accelerator
) -> Evaluation:
    """Predict every example and score the predictions.

    Args:
        prompt: folded, [N, d]; None evaluates the backbone without a prompt.
    """
    task, began = TASKS[config.task.name], time.perf_counter()
    backbone.train(False)
    width = backbone.embeddings.shape[1]
    prompt = torch.empty(0, width, device=backbone.device) if prompt is None else prompt.to(backbone.device)
    read = (
        _argmax_reader
        if task.verbalizers(config.protocol.name) and config.trainer.decode == "argmax"
        else _generate_reader
    )
    reader = read(backbone, task, config.protocol.name)
    predictions: list[Prediction] = [None] * len(encoded.examples)
    # Long rows first: a batch that does not fit memory fails at once and not at the end.
    order = sorted(range(len(encoded.sources)), key=lambda i: -len(encoded.sources[i]))
    size = config.trainer.eval_batch_size
    text_width = config.backbone.max_tokens - len(prompt) if config.trainer.pad_to_max else None
    for rows in (order[i : i + size] for i in range(0, len(order), size)):
        ids = pad([encoded.sources[i] for i in rows], backbone.tokenizer.pad_token_id, text_width).to(backbone.device)
        with accelerator.autocast():
            mask = torch.ones(len(rows), len(prompt), dtype=torch.long, device=backbone.device)
            encoding = backbone.encode(prompt.expand(len(rows), -1, -1), mask, ids)
            answers = reader(encoding, [encoded.examples[i] for i in rows])
        for i, answer in zip(rows, answers, strict=True):
            predictions[i] = answer
    protocol = config.protocol.name
    scores = task.score(encoded.examples, predictions, protocol)
    credits = [task.credit(e, p, protocol) for e, p in zip(encoded.examples, predictions, strict=True)]
    elapsed = time.perf_counter() - began
    return Evaluation(scores, predictions, credits, predictions.count(None), len(order) / elapsed)


def _argmax_reader(backbone: T5Backbone, task: Task, protocol: str) -> Any:
    """Reads the label whose words are the greedy answer, without generating (DESIGN, decision 4)."""
    # Answers are compared after `clean` (PROTOCOL), so a label's other spellings count as that label: "notentailment".
    spellings = [
        (spelling, label)
        for label, word in enumerate(task.verbalizers(protocol))
        for spelling in dict.fromkeys([word, word.lower(), word.capitalize(), clean(word)])
    ]
    candidates = encode_answers([spelling for spelling, _ in spellings], backbone.tokenizer)

    def read(encoding: Any, _: list[Example]) -> list[Prediction]:
        hits = backbone.argmax_is(encoding, candidates)
        found = torch.where(hits.any(dim=1), hits.int().argmax(dim=1), -1).tolist()
        return [None if i == -1 else spellings[i][1] for i in found]

    return read


def _generate_reader(backbone: T5Backbone, task: Task, protocol: str) -> Any:
    """Reads what the backbone generates greedily."""
    longest = task.max_answer_tokens
    if longest is None:  # as long as the longest label; more text could only make the answer wrong
        longest = max(map(len, encode_answers(list(task.verbalizers(protocol)), backbone.tokenizer)))

    def read(encoding: Any, examples: list[Example]) -> list[Prediction]:
        texts = backbone.generate(encoding, longest)
        return [task.interpret(text, example, protocol) for text, example in zip(texts, examples, strict=True)]

    return read
