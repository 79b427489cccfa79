"""What serving asks of a backbone, and what it answers. Shapes: B questions, N prompt tokens, d model width."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any

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
