"""Answers with their probabilities, read from a T5. All that serving knows of the backbone's family is here.

Shapes: B rows, N prompt tokens (of the longest prompt), V labels, d model width.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad as pad_tensor

from rpt.backbones import T5Backbone
from rpt.backbones.t5 import NO_LABEL, Encoding
from rpt.data.batches import pad
from rpt.data.tokens import Tokens, encode_answers
from rpt.tasks import Example, Task


@dataclass(frozen=True)
class Answer:
    """What a backbone answers to one example.

    idx: the example's. text: what it wrote, greedily.
    label: the label that the text is. Where it is none, the most probable label, and `answered` is false: training
        and evaluation count such an answer as wrong. None where the task has no labels (ReCoRD: its text answers).
        WSC's text is compared with the noun as T5 does (one contains the other), under either protocol; a text without
        a word is no.
    probabilities: of each label, adding up to 1: the softmax over the log-likelihoods of the labels' words, each summed
        over its tokens. Greedy decoding looks at one token after the other, so where labels have several tokens its
        answer need not be the most probable label. None where answers are open.
    probability: of an open answer: of its whole text and of ending there. None where answers are labels.
    """

    idx: int | Mapping[str, int]
    text: str
    label: str | None = None
    answered: bool = True
    probabilities: Mapping[str, float] | None = None
    probability: float | None = None

    def as_line(self) -> dict[str, Any]:
        """What is known of it, for JSON."""
        return {name: value for name, value in vars(self).items() if value is not None}


@dataclass(frozen=True)
class Question:
    """One row of a batch: an example as token ids, and the prompt [N, d] that it stands behind."""

    example: Example
    source: Tokens
    prompt: Tensor
    task: Task
    protocol: str


def answer_batch(backbone: T5Backbone, questions: list[Question]) -> list[Answer]:
    """The answers to questions of any tasks, after one pass of the encoder; each is the one its question gets alone."""
    longest = max(len(question.prompt) for question in questions)
    # A shorter prompt is filled up on the left with zeros, which are masked: as in training.
    prompts = torch.stack([pad_tensor(q.prompt, (0, 0, longest - len(q.prompt), 0)) for q in questions])
    mask = torch.stack([torch.arange(longest) >= longest - len(q.prompt) for q in questions]).long()
    ids = pad([question.source for question in questions], backbone.tokenizer.pad_token_id)
    encoding = backbone.encode(prompts, mask.to(prompts.device), ids.to(prompts.device))
    alike = defaultdict(list)
    for i, question in enumerate(questions):
        alike[question.task.name, question.protocol].append(i)
    answers: dict[int, Answer] = {}
    for (_, protocol), rows in alike.items():
        task, examples = questions[rows[0]].task, [questions[i].example for i in rows]
        part = Encoding(encoding.states[rows], encoding.mask[rows])
        read = _open_answers if task.verbalizers(protocol) is None else _label_answers
        answers |= zip(rows, read(backbone, task, protocol, part, examples), strict=True)
    return [answers[i] for i in range(len(questions))]


def longest_answer(backbone: T5Backbone, task: Task, protocol: str) -> int:
    """How many tokens an answer may have: where answers are labels as many as the longest, more could not be one."""
    words = task.verbalizers(protocol)
    return task.max_answer_tokens if words is None else max(map(len, encode_answers(list(words), backbone.tokenizer)))


def _label_answers(
    backbone: T5Backbone, task: Task, protocol: str, encoding: Encoding, examples: list[Example]
) -> list[Answer]:
    words = encode_answers(list(task.verbalizers(protocol)), backbone.tokenizer)
    texts = backbone.generate(encoding, longest_answer(backbone, task, protocol))
    n, v = len(examples), len(words)
    each = Encoding(encoding.states.repeat_interleave(v, dim=0), encoding.mask.repeat_interleave(v, dim=0))
    losses = backbone.answer_losses(each, pad(words, NO_LABEL).to(each.states.device).repeat(n, 1))  # row by row
    rows = (-losses.view(n, v)).softmax(dim=1).tolist()
    answers = []
    for example, text, probabilities in zip(examples, texts, rows, strict=True):
        found = task.interpret(text, example, protocol)
        label = probabilities.index(max(probabilities)) if found is None else found
        by_label = dict(zip(task.labels, probabilities, strict=True))
        answers.append(Answer(example.idx, text, task.labels[label], found is not None, by_label))
    return answers


def _open_answers(
    backbone: T5Backbone, task: Task, protocol: str, encoding: Encoding, examples: list[Example]
) -> list[Answer]:
    texts = backbone.generate(encoding, longest_answer(backbone, task, protocol))
    written = pad(encode_answers(texts, backbone.tokenizer), NO_LABEL).to(encoding.states.device)
    likelihoods = (-backbone.answer_losses(encoding, written)).exp().tolist()
    answers = []
    for example, text, probability in zip(examples, texts, likelihoods, strict=True):
        label, found = None, None
        if task.labels:  # WSC: the text is somebody, the label whether that is the noun
            found = task.interpret(text, example, "superglue")
            label = task.labels[found or 0]
        answered = found is not None if task.labels else bool(text.strip())
        answers.append(Answer(example.idx, text, label, answered, probability=probability))
    return answers
