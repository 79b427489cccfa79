"""Answers with their probabilities. All that serving knows of the families of backbones is here.

Shapes: B rows, N prompt tokens (of the longest prompt), V labels, d model width.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad as pad_tensor

from rpt.backbones import Backbone, BertBackbone, Heads, Row, T5Backbone
from rpt.backbones.t5 import NO_LABEL, Encoding
from rpt.data.batches import pad
from rpt.data.tokens import encode_answers
from rpt.tasks import Example, Task


@dataclass(frozen=True)
class Answer:
    """What a backbone answers to one example.

    idx: the example's.
    text: what T5 wrote, greedily; of an encoder, which writes nothing, only ReCoRD's chosen entity.
    label: the label that the text is, or that an encoder's head decided for. Where the text is none, the most probable
        label, and `answered` is false: training and evaluation count such an answer as wrong. None where the task has
        no labels (ReCoRD: its text answers). WSC's text is compared with the noun as T5 does (one contains the other),
        under either protocol; a text without a word is no.
    probabilities: adding up to 1, of each label. T5's: the softmax over the log-likelihoods of the labels' words, each
        summed over its tokens. Greedy decoding looks at one token after the other, so where labels have several tokens
        its answer need not be the most probable label. An encoder's: the softmax over what its head gives each label,
        each of COPA's choices, or each of ReCoRD's entities (the log of its odds). None where T5's answers are open.
    probability: of an open answer of T5: of its whole text and of ending there. None elsewhere.
    """

    idx: int | Mapping[str, int]
    text: str | None = None
    label: str | None = None
    answered: bool = True
    probabilities: Mapping[str, float] | None = None
    probability: float | None = None

    def as_line(self) -> dict[str, Any]:
        """What is known of it, for JSON."""
        return {name: value for name, value in vars(self).items() if value is not None}


@dataclass(frozen=True)
class Question:
    """One example of a batch: what the backbone reads of it, the prompt [N, d] that this stands behind, the head."""

    example: Example
    rows: list[Row]
    prompt: Tensor
    head: Heads
    task: Task
    protocol: str


def answer_batch(backbone: Backbone, questions: list[Question]) -> list[Answer]:
    """The answers to questions of any tasks, after one pass of the encoder; each is the one its question gets alone."""
    longest = max(len(question.prompt) for question in questions)
    # A shorter prompt is filled up on the left with zeros, which are masked: as in training.
    prompts = torch.stack([pad_tensor(q.prompt, (0, 0, longest - len(q.prompt), 0)) for q in questions])
    mask = torch.stack([torch.arange(longest) >= longest - len(q.prompt) for q in questions]).long()
    return READERS[type(backbone)](backbone, prompts, mask.to(prompts.device), questions)


def _alike(questions: list[Question], key: Callable[[Question], Hashable]) -> list[list[int]]:
    """The questions, by their numbers, that share a key."""
    groups = defaultdict(list)
    for i, question in enumerate(questions):
        groups[key(question)].append(i)
    return list(groups.values())


# T5 writes


def longest_answer(backbone: T5Backbone, task: Task, protocol: str) -> int:
    """How many tokens an answer may have: where answers are labels as many as the longest, more could not be one."""
    words = task.verbalizers(protocol)
    return task.max_answer_tokens if words is None else max(map(len, encode_answers(list(words), backbone.tokenizer)))


def _written(backbone: T5Backbone, prompts: Tensor, mask: Tensor, questions: list[Question]) -> list[Answer]:
    sources = [source for question in questions for row in question.rows for source in row.sequences]
    encoding = backbone.encode(prompts, mask, pad(sources, backbone.tokenizer.pad_token_id).to(prompts.device))
    answers: dict[int, Answer] = {}
    for group in _alike(questions, lambda question: (question.task.name, question.protocol)):
        task, protocol = questions[group[0]].task, questions[group[0]].protocol
        part = Encoding(encoding.states[group], encoding.mask[group])
        read = _open_answers if task.verbalizers(protocol) is None else _label_answers
        answers |= zip(group, read(backbone, task, protocol, part, [questions[i].example for i in group]), strict=True)
    return [answers[i] for i in range(len(questions))]


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


# An encoder decides


def _decided(backbone: BertBackbone, prompts: Tensor, mask: Tensor, questions: list[Question]) -> list[Answer]:
    sequences = [sequence for question in questions for row in question.rows for sequence in row.sequences]
    of = [i for i, question in enumerate(questions) for row in question.rows for _ in row.sequences]  # whose it is
    states = backbone.encode(prompts[of], mask[of], sequences)
    outputs: dict[int, list[float]] = {}
    for group in _alike([questions[i] for i in of], lambda question: tuple(question.head["weight"].shape)):
        heads = [questions[of[s]].head for s in group]
        stacked = {name: torch.stack([head[name] for head in heads]) for name in heads[0]}
        read = backbone.outputs(states[group], [sequences[s] for s in group], prompts.shape[1], stacked)
        outputs |= zip(group, read.tolist(), strict=True)
    each = (outputs[s] for s in range(len(sequences)))
    answers = []
    for question in questions:
        task, example = question.task, question.example
        logits = [[output for _ in row.sequences for output in next(each)] for row in question.rows]
        found = task.decide(example, logits)
        probabilities = torch.tensor(task.weigh(logits)).softmax(dim=0).tolist()
        answers.append(
            Answer(
                example.idx,
                text=found if isinstance(found, str) else None,
                label=None if isinstance(found, str) else task.labels[found],
                probabilities=dict(zip(task.candidates(example), probabilities, strict=True)),
            )
        )
    return answers


READERS = {T5Backbone: _written, BertBackbone: _decided}
