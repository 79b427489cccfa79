"""What an encoder's head reads. That is the state of [CLS], the mean state, or the cosine of two texts; and the mean
states of marked words.

Shapes: S sequences (of cosine pooling, pairs of them), N prompt tokens, T text tokens, L = N + T, M marked words,
d model width, w width of what is pooled.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity

SHARPNESS = 10.0  # of a cosine, in logits: so a head finds its two numbers at the rates that others learn at


@dataclass(frozen=True)
class States:
    """What the encoder made of prompts and texts: states [S, L, d], text [S, L]: 1 where [CLS], text and [SEP] stand, 0
    at prompt and padding."""

    states: Tensor
    text: Tensor

    def mean(self) -> Tensor:
        """The mean state of each text [S, d], without the prompt."""
        text = self.text.to(self.states.dtype)[:, None]  # [S, 1, L]
        return (text @ self.states / text.sum(dim=-1, keepdim=True))[:, 0]


class Pooling(ABC):
    """How states of tokens become what a head reads. It is part of the backbone's fingerprint, for answers differ.

    Attributes:
        suffix: of the fingerprint; none for [CLS], as published runs have it.
        sequences: of each reading: one, or two, where the encoder reads each of its texts alone, behind the prompt.
    """

    suffix: ClassVar[str]
    sequences: ClassVar[int] = 1

    def width(self, d: int) -> int:
        """w, for a model of width d."""
        return d

    @abstractmethod
    def read(self, texts: list[States]) -> Tensor:
        """What heads read [S, w], float32, from the states of each of a reading's `sequences`."""

    def initialize(self, head: nn.Linear) -> nn.Linear:
        """The head before training, from the one that torch draws."""
        return head

    def scale(self, outputs: Tensor) -> Tensor:
        """The logits, from what the head gives."""
        return outputs


class ClsPooling(Pooling):
    """The state of [CLS], as in the paper."""

    suffix = ""

    def read(self, texts: list[States]) -> Tensor:
        (text,) = texts
        return text.states[:, 0].float()


class MeanPooling(Pooling):
    """The text's mean state, as sentence encoders are trained to be read."""

    suffix = "-mean"

    def read(self, texts: list[States]) -> Tensor:
        (text,) = texts
        return text.mean().float()


class CosinePooling(Pooling):
    """The cosine of the mean states of two texts: a bi-encoder (Reimers & Gurevych 2019, section 3)."""

    suffix = "-cosine"
    sequences = 2

    def width(self, d: int) -> int:
        return 1

    def read(self, texts: list[States]) -> Tensor:
        u, v = (text.mean().float() for text in texts)
        return cosine_similarity(u, v, dim=-1)[:, None]

    def initialize(self, head: nn.Linear) -> nn.Linear:
        """The cosine has no weight before training."""
        for parameter in head.parameters():
            nn.init.zeros_(parameter)
        return head

    def scale(self, outputs: Tensor) -> Tensor:
        return outputs * SHARPNESS


POOLINGS: dict[str, Pooling] = {"cls": ClsPooling(), "mean": MeanPooling(), "cosine": CosinePooling()}


@dataclass(frozen=True)
class Features:
    """What heads may read: what was pooled [S, w], and the states [S, L, d] with the ends of marked words in the text
    [S, M, 2] behind a prompt of N tokens. Whether a head reads marked words its width tells: heads of both kinds are
    served over one backbone."""

    pooled: Tensor
    states: Tensor
    marks: Tensor
    prompt_length: int

    def pick(self, rows: list[int]) -> Features:
        """Some of the sequences."""
        return Features(self.pooled[rows], self.states[rows], self.marks[rows], self.prompt_length)

    def take(self, width: int) -> Tensor:
        """What a head of that width reads [S, width]: what was pooled, and behind it as many marked words as fit."""
        n_marked = width // self.pooled.shape[-1] - 1
        spans: tuple[Tensor, ...] = ()
        if n_marked:
            marks = self.marks[:, :n_marked] + self.prompt_length
            spans = average_spans(self.states.float(), marks).unbind(dim=1)
        return torch.cat([self.pooled, *spans], dim=-1)


def average_spans(states: Tensor, marks: Tensor) -> Tensor:
    """The mean state of each marked word [S, M, d], from states [S, L, d] and the words' ends among them [S, M, 2]."""
    at = torch.arange(states.shape[1], device=states.device)
    inside = ((at >= marks[..., :1]) & (at < marks[..., 1:])).to(states.dtype)
    return inside @ states / inside.sum(dim=-1, keepdim=True)
