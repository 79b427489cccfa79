"""Questions and answers of serving. Shapes: B questions, N prompt tokens, d model width."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad as pad_tensor

from rpt.backbones.rows import Heads, Row
from rpt.tasks import Example, Task


@dataclass(frozen=True)
class Question:
    """One example of a batch, with what the backbone reads of it, its prompt [N, d] and its head."""

    example: Example
    rows: list[Row]
    prompt: Tensor
    head: Heads
    task: Task


@dataclass(frozen=True)
class Answer:
    """What a backbone answers to one example.

    idx: the example's.
    text: what was written, greedily. An encoder writes nothing: None, or the entity that it chose (ReCoRD).
    label: the label that the text is, or that an encoder's head decided for; if the text is none, the most probable
        one. None where the task has no labels (ReCoRD, whose text is the answer). WSC's text is compared with the noun
        by T5's rule (one contains the other) under either protocol; a text without a word is a no.
    answered: whether the text is a label; for open answers, whether there is a text; for ReCoRD, whether it is an
        entity of the row, or a list that begins with one. Training and evaluation count a text that is no label as
        wrong.
    probabilities: of each label, adding up to 1; that of `label` is the largest. Where a word is written, the softmax
        over minus the label's gap: how much less likely its word is than greedy decoding's choice, summed over the
        word's tokens. For words of one token this is the softmax over their likelihoods. For longer words likelihoods
        could favour another label than the one that is written and scored. For an encoder, the softmax over what its
        head gives each label, each of COPA's choices, or each of ReCoRD's entities (its log odds). None where answers
        are open.
    probability: of the whole text of an open answer, its end included. None elsewhere.
    """

    idx: int | Mapping[str, int]
    text: str | None = None
    label: str | None = None
    answered: bool = True
    probabilities: Mapping[str, float] | None = None
    probability: float | None = None

    def as_line(self) -> dict[str, object]:
        """What is known of it, for JSON."""
        return {name: value for name, value in vars(self).items() if value is not None}


def stack_prompts(questions: list[Question]) -> tuple[Tensor, Tensor]:
    """The questions' prompts [B, N, d] and their mask [B, N]. A shorter prompt is filled up on the left with zeros,
    which are masked: as in training."""
    longest = max(len(question.prompt) for question in questions)
    prompts = torch.stack([pad_tensor(q.prompt, (0, 0, longest - len(q.prompt), 0)) for q in questions])
    mask = torch.stack([torch.arange(longest) >= longest - len(q.prompt) for q in questions]).long()
    return prompts, mask.to(prompts.device)


def group_alike(questions: list[Question], key: Callable[[Question], Hashable]) -> list[list[int]]:
    """The questions, by their numbers, that share a key."""
    groups = defaultdict(list)
    for i, question in enumerate(questions):
        groups[key(question)].append(i)
    return list(groups.values())
