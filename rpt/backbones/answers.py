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
    """One example of a batch: what the backbone reads of it, the prompt [N, d] that this stands behind, the head."""

    example: Example
    rows: list[Row]
    prompt: Tensor
    head: Heads
    task: Task


@dataclass(frozen=True)
class Answer:
    """What a backbone answers to one example.

    idx: the example's.
    text: what was written, greedily; of an encoder, which writes nothing, only ReCoRD's chosen entity.
    label: the most probable label: the one that the text is, or that an encoder's head decided for. None where the task
        has no labels (ReCoRD: its text answers). WSC's text is compared with the noun as T5 does (one contains the
        other), under either protocol; a text without a word is no.
    answered: whether the text is a label; of open answers, whether there is a text; of ReCoRD, whether it is an entity
        of the row, or a list that begins with one. Training and evaluation count as wrong a text that is no label.
    probabilities: adding up to 1, of each label. Where a word is written: the softmax over how much less likely the
        label's word is than greedy decoding's choice at each of its tokens, summed over these. For labels of one token
        that is the softmax over their likelihoods. For longer ones the likelihoods themselves could favour another
        label than the one that is written token by token and scored. An encoder's: the softmax over what its head gives
        each label, each of COPA's choices, or each of ReCoRD's entities (the log of its odds). None where answers are
        open.
    probability: of an open answer: of its whole text and of ending there. None elsewhere.
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
