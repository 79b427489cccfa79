"""All that the rest of rpt knows of a backbone.

Shapes: B rows, N prompt tokens (of the longest prompt), V vocabulary, d model width.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from rpt.backbones import fast
from rpt.backbones.answers import Answer, Question
from rpt.backbones.device import DTYPES, keep_float32
from rpt.backbones.rows import Encoded, Heads, Prediction, Row
from rpt.config import BackboneConfig
from rpt.tasks import Example, Task


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
        precision: fp32, bf16 or fp16: what it computes in.
        model_types: what transformers calls the models of this family.
        load_model: transformers' way to load one.
    """

    model_types: ClassVar[tuple[str, ...]]
    load_model: ClassVar[Callable[..., Any]]

    # Loaded

    def __init__(
        self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, fingerprint: str, dropout: bool = False
    ):
        self.model: Any = model  # transformers declares less of it than it has
        self.tokenizer, self.fingerprint, self.dropout = tokenizer, fingerprint, dropout
        self.model.requires_grad_(False).eval()
        self.trained: dict[str, nn.Parameter] = {}
        self.precision = "fp32"

    @abstractmethod
    def find_fault(self, config: BackboneConfig) -> str | None:
        """What makes model or tokenizer unusable, with the remedy; None if nothing does."""

    @property
    def embeddings(self) -> Tensor:
        """The input embedding table [V, d], float32."""
        return self.model.get_input_embeddings().weight.detach().float()

    @property
    def frozen(self) -> bool:
        """Whether nothing in it is trained, nor drops out."""
        return not self.trained and not self.dropout

    @property
    def frozen_parameters(self) -> int:
        """How many of its numbers are not trained."""
        return sum(parameter.numel() for parameter in self.model.parameters() if not parameter.requires_grad)

    # Put where it computes

    def place(self, device: torch.device, precision: str) -> None:
        """Move to the device, and round the frozen weights of the linear layers to where autocast would at every step.

        An output layer keeps float32: it may be the embedding table itself, which prompts start from.
        """
        keep_float32()
        self.model.to(device)
        self.precision, dtype = precision, DTYPES.get(precision)
        output = self.model.get_output_embeddings()
        for module in self.model.modules() if dtype else ():
            if isinstance(module, nn.Linear) and module is not output:
                for parameter in module.parameters(recurse=False):
                    if not parameter.requires_grad:
                        parameter.data = parameter.data.to(dtype)
        fast.install(self.model, dtype, self.frozen)

    @property
    def device(self) -> torch.device:
        return self.model.device

    def autocast(self) -> torch.autocast:
        """The context in which losses, predictions and answers are computed in the backbone's precision."""
        dtype = DTYPES.get(self.precision)
        return torch.autocast(self.device.type, dtype, enabled=dtype is not None)

    def train(self, mode: bool = True) -> None:
        """Dropout on only where it was asked for."""
        self.model.train(mode and self.dropout)

    # Given examples

    @abstractmethod
    def rows(
        self, examples: list[Example], task: Task, protocol: str, text_budget: int, cache: Path | None
    ) -> list[list[Row]]:
        """What of each example is computed to predict it.

        Args:
            text_budget: tokens that the prompt leaves to each sequence.
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

    # Trained with

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
    def make_trial(self, width: int) -> tuple[Row, Heads]:
        """A made-up row of so many tokens and a head for it, to see what memory a pass takes."""

    # Asked

    @abstractmethod
    def predict(
        self,
        prompt: Tensor,
        head: Heads,
        encoded: Encoded,
        task: Task,
        protocol: str,
        decode: str = "argmax",
        width: int | None = None,
    ) -> list[Prediction]:
        """What one prompt predicts for some examples of one task, in one pass.

        Args:
            prompt: folded, [N, d].
            decode: argmax | generate: how a T5's answer is read where it is a label.
            width: sequences are padded to so many tokens; to the longest if None.
        """

    @abstractmethod
    def answer(self, questions: list[Question]) -> list[Answer]:
        """The answers, with probabilities, to questions of any tasks behind any prompts, after one pass of the encoder;
        each is the one that its question gets alone."""


def fingerprint(model: nn.Module) -> str:
    """Of a sample of every weight: cheap for the largest model, and no two honest ones share it."""
    digest = hashlib.sha256()
    for name, weight in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(weight.flatten()[:: max(1, weight.numel() // 1024)].float().numpy().tobytes())
    return digest.hexdigest()[:16]
