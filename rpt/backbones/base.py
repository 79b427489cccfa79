"""All that the engine knows of a backbone.

Shapes: R runs, B rows, N prompt tokens (of the longest prompt), V vocabulary, d model width.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence, Sized
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from rpt.backbones.fast import attention
from rpt.config import BackboneConfig
from rpt.tasks import Example, Task

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}
Prediction = int | str | None
Heads = dict[str, Tensor]  # a head's parameters by name; empty where the backbone has none


@dataclass(frozen=True)
class Row:
    """What is computed at once and has one loss.

    sequences: what the backbone reads, each behind the prompt: one, or one for every choice.
    target: what should come of it: the answer's token ids, or a label; None where that is not known.
    terms: how many terms its loss adds up. A run's loss is the mean over those of all its rows.
    """

    sequences: tuple[Sized, ...]
    target: Any = None
    terms: int = 1

    @property
    def length(self) -> int:
        """Tokens of its longest sequence."""
        return max(map(len, self.sequences))


@dataclass(frozen=True)
class Encoded:
    """Examples ready to be predicted: rows[i] are those of examples[i]."""

    examples: list[Example]
    rows: list[list[Row]]


class Backbone(ABC):
    """A frozen language model. Prompts reach it only as tensors of embeddings, and so do the parameters of the heads
    that a family may need beside them. Other methods than prompt tuning (rpt.training.methods) change the model itself.

    Args:
        model: it is frozen here.
        tokenizer: right-padding.
        fingerprint: names the weights in records.
        dropout: whether the frozen layers drop out in training.

    Attributes:
        trained: weights of the model that a method trains, by name; none in prompt tuning.
        model_types: what transformers calls the models of this family.
        load_model: transformers' way to load one.
    """

    model_types: ClassVar[tuple[str, ...]]
    load_model: ClassVar[Callable[..., PreTrainedModel]]

    def __init__(
        self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, fingerprint: str, dropout: bool = False
    ):
        self.model, self.tokenizer, self.fingerprint, self.dropout = model, tokenizer, fingerprint, dropout
        self.model.requires_grad_(False).eval()
        self.trained: dict[str, nn.Parameter] = {}

    @property
    def embeddings(self) -> Tensor:
        """The input embedding table [V, d], float32."""
        return self.model.get_input_embeddings().weight.detach().float()

    @property
    def device(self) -> torch.device:
        return self.model.device

    @property
    def frozen(self) -> bool:
        """Whether nothing in it is trained, nor drops out."""
        return not self.trained and not self.dropout

    def place(self, device: torch.device, precision: str) -> None:
        """Move to the device, and round the frozen weights of the linear layers to where autocast would at every step.

        An output layer keeps float32: it may be the embedding table itself, which prompts start from.
        """
        self.model.to(device)
        if precision == "fp32":
            return
        output = self.model.get_output_embeddings()
        for module in self.model.modules():
            if isinstance(module, nn.Linear) and module is not output:
                for parameter in module.parameters(recurse=False):
                    if not parameter.requires_grad:
                        parameter.data = parameter.data.to(DTYPES[precision])
        if device.type == "cpu":
            # torch's fused attention is slower than the plain one there in half precision, backward fourfold.
            self.model.set_attn_implementation(attention.NAME if self.frozen else "eager")

    def train(self, mode: bool = True) -> None:
        """Dropout on only where it was asked for."""
        self.model.train(mode and self.dropout)

    @abstractmethod
    def fault(self, config: BackboneConfig) -> str | None:
        """What makes model or tokenizer unusable, with the remedy; None if nothing does."""

    # What examples become

    @abstractmethod
    def rows(
        self, examples: list[Example], task: Task, protocol: str, room: int, cache: Path | None
    ) -> list[list[Row]]:
        """What of each example is computed to predict it.

        Args:
            room: tokens that the prompt leaves to each sequence.
            cache: folder of tokenised rows; None keeps none.
        """

    @abstractmethod
    def training_rows(self, examples: list[Example], rows: list[list[Row]], task: Task, protocol: str) -> list[Row]:
        """The rows with a target, from those of `rows`."""

    @staticmethod
    @abstractmethod
    def count(examples: list[Example], task: Task, protocol: str) -> int:
        """How many training rows the examples become; to be told without the weights."""

    def new_head(self, task: Task, config: BackboneConfig) -> nn.Module | None:
        """What has to be trained beside a prompt to answer the task, drawn from torch's global generator."""
        return None

    # What comes of them

    @abstractmethod
    def losses(
        self, prompts: Tensor, prompt_mask: Tensor, rows: Sequence[Row], heads: Heads, width: int | None = None
    ) -> Tensor:
        """The loss of each row, summed over its terms: [B], float32.

        Args:
            prompts: [B, N, d].
            prompt_mask: [B, N], 1 where the row's own prompt stands, which is at the right end.
            heads: of each row, its parameters [B, ...].
            width: sequences are padded to so many tokens; to the longest if None.
        """

    @abstractmethod
    def predictor(
        self, task: Task, protocol: str, decode: str
    ) -> Callable[[Tensor, Heads, Encoded, int | None], list[Prediction]]:
        """What predicts some examples: a function of the folded prompt [N, d], the head, the examples, and the width
        to which sequences are padded."""

    @abstractmethod
    def trial(self, width: int) -> tuple[Row, Heads]:
        """A made-up row of so many tokens and a head for it, to see what a pass takes."""


def fingerprint(model: nn.Module) -> str:
    """Of a sample of every weight: cheap for the largest model, and no two honest ones share it."""
    digest = hashlib.sha256()
    for name, weight in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(weight.flatten()[:: max(1, weight.numel() // 1024)].float().numpy().tobytes())
    return digest.hexdigest()[:16]
