"""The interface: all that the rest of rpt knows of a backbone, beside the name of its family.

Shapes: B rows, N prompt tokens (of the longest prompt), V vocabulary, d model width.
"""

from __future__ import annotations

import hashlib
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from transformers.modeling_layers import GradientCheckpointingLayer

from rpt.backbones import fast
from rpt.backbones.answers import Answer, Question
from rpt.backbones.device import DTYPES, keep_float32, width_multiple
from rpt.backbones.rows import Batch, Encoded, Heads, Row
from rpt.backbones.settings import settings_suffix
from rpt.backbones.weights import round_weights
from rpt.config import BackboneConfig
from rpt.errors import UsageError
from rpt.tasks import Example, Prediction, Task

FAMILIES: dict[str, type[Backbone]] = {}


def register_family(name: str) -> Callable[[type[Backbone]], type[Backbone]]:
    """Class decorator: the name under which `backbone.family` asks for the class.

    Raises:
        ValueError: the name is taken, or the class is another encoder (configuration and tasks know encoders by the
            name bert).
    """

    def enter(cls: type[Backbone]) -> type[Backbone]:
        if name in FAMILIES:
            raise ValueError(f"there is a family {name} already; give {cls.__name__} another name")
        if issubclass(cls, FAMILIES.get("bert", ())):
            raise ValueError(f"{cls.__name__} is an encoder, whose only family is bert; change rpt/backbones/bert.py")
        FAMILIES[name] = cls
        return cls

    return enter


class Backbone(ABC):
    """A frozen language model. Prompts reach it only as tensors of embeddings, and so do the parameters of the heads
    that a family may need beside them. Other methods than prompt tuning (rpt.training.run.methods) change the model
    itself.

    Args:
        model: it is frozen here.
        tokenizer: right-padding.
        fingerprint: names the weights in records.
        dropout: whether the frozen layers drop out in training.

    Attributes:
        trained: weights of the model that a method trains, by name; none in prompt tuning.
        weights: backbone.weights: how they are kept once it is placed.
        recomputes: whether layers are computed again for their backward passes (trainer.gradient_checkpointing).
        precision: fp32, bf16 or fp16: what it computes in once it is placed.
        model_types: what transformers calls the models of this family.
        auto_class: transformers' class that loads them.
        load_options: what it is told beside the usual.
        stream_scale: the factor by which words, and all that is added to them, were multiplied.
        gguf_file: the name of the .gguf file that it was loaded from; None if it was loaded from others.
    """

    model_types: ClassVar[tuple[str, ...]]
    auto_class: ClassVar[Any]
    load_options: ClassVar[dict[str, object]] = {}
    stream_scale: float = 1.0
    gguf_file: str | None = None

    # Loaded

    def __init__(
        self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, fingerprint: str, dropout: bool = False
    ):
        self.model: Any = model  # transformers declares less of it than it has
        self.tokenizer, self.fingerprint, self.dropout = tokenizer, fingerprint, dropout
        self.model.requires_grad_(False).eval()
        self.trained: dict[str, nn.Parameter] = {}
        self.weights, self.recomputes, self.precision = "auto", False, "fp32"

    @classmethod
    def build(
        cls, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, config: BackboneConfig, dropout: bool
    ) -> Self:
        """The backbone as the configuration asks for it, named by the fingerprint of its weights and settings."""
        return cls(model, tokenizer, fingerprint_with_settings(model, tokenizer), dropout)

    @staticmethod
    def rescale_stream(model: Any, scale: float) -> None:
        """Multiply words and all that is added to them, in place, and leave every output of the model as it is.

        Raises:
            UsageError: that cannot be done to this model.
        """
        raise UsageError("backbone.stream_scale is not for this family; leave it out.")

    @abstractmethod
    def find_fault(self, config: BackboneConfig) -> str | None:
        """What makes model or tokenizer unusable, with the remedy; None if nothing does."""

    @property
    def embeddings(self) -> Tensor:
        """The input embedding table [V, d], in the type that it is kept in."""
        return self.model.get_input_embeddings().weight.detach()

    @property
    def d_model(self) -> int:
        """d"""
        return self.embeddings.shape[1]

    @property
    def frozen(self) -> bool:
        """Whether nothing in it is trained, nor drops out."""
        return not self.trained and not self.dropout

    @property
    def frozen_parameters(self) -> int:
        """How many of its numbers are not trained; of 4 bits, two stand in one byte."""
        frozen = (parameter for parameter in self.model.parameters() if not parameter.requires_grad)
        return sum(getattr(getattr(each, "quant_state", None), "shape", each.shape).numel() for each in frozen)

    # Put where it computes

    def place(self, device: torch.device, precision: str) -> None:
        """Round the frozen weights of the linear layers once, as autocast would at every step, then move to the device,
        which never holds unrounded ones."""
        keep_float32()
        self.precision, dtype = precision, DTYPES.get(precision)
        round_weights(self.model, self.weights, dtype)
        self.model.to(device)
        fast.install(self.model, dtype, self.frozen, device.type == "cuda")
        if self.recomputes:
            recompute_layers(self.model, self.dropout)

    @property
    def device(self) -> torch.device:
        return self.model.device

    def autocast(self) -> torch.autocast:
        """The context in which losses, predictions and answers are computed in the backbone's precision."""
        dtype = DTYPES.get(self.precision)
        # Its cache holds casts of trained weights alone, and CUDA graphs cannot be recorded with it.
        return torch.autocast(self.device.type, dtype, enabled=dtype is not None, cache_enabled=not self.frozen)

    def train(self, mode: bool = True) -> None:
        """Dropout on only where it was asked for."""
        self.model.train(mode and self.dropout)

    # Given examples

    @abstractmethod
    def rows(self, examples: list[Example], task: Task, text_budget: int, cache: Path | None) -> list[list[Row]]:
        """The rows from which each example is predicted.

        Args:
            text_budget: tokens that the prompt leaves to each sequence.
            cache: folder of tokenised rows; None keeps none.
        """

    @abstractmethod
    def training_rows(self, encoded: Encoded) -> list[Row]:
        """The rows to train on, each with its target."""

    @staticmethod
    @abstractmethod
    def count(examples: list[Example], task: Task) -> int:
        """How many training rows the examples become, found without the weights."""

    def new_head(self, task: Task, config: BackboneConfig) -> nn.Module | None:
        """What has to be trained beside a prompt to answer the task, drawn from torch's global generator."""
        return None

    # Trained with

    @abstractmethod
    def collate(self, rows: Sequence[Row], prompt_length: int, width: int | None = None, multiple: int = 1) -> Batch:
        """The rows as tensors on the device, without waiting for it.

        Args:
            prompt_length: N.
            width: texts are padded to so many tokens; to the longest if None.
            multiple: without `width`, N and text together are padded to a multiple of this and of `width_multiple`.
        """

    @abstractmethod
    def losses(self, prompts: Tensor, prompt_mask: Tensor, batch: Batch, heads: Heads) -> Tensor:
        """The loss of each row, summed over its terms: [B], float32. It computes on the device alone and reads nothing
        back, so that it can be recorded as a CUDA graph.

        Args:
            prompts: [B, N, d].
            prompt_mask: [B, N], 1 where the row's own prompt stands, which is at the right end.
            batch: of `collate`.
            heads: of each row, its parameters [B, ...].
        """

    def choose_width(self, longest: int, prompt_length: int, width: int | None, multiple: int) -> int:
        """How many tokens texts are padded to, as `collate` describes it."""
        multiple = math.lcm(multiple, width_multiple(self.device))
        return width or longest + -(prompt_length + longest) % multiple

    @abstractmethod
    def make_trial(self, width: int) -> tuple[Row, Heads]:
        """A made-up row of so many tokens and a head for it, to see what memory a pass takes."""

    # Asked

    @abstractmethod
    def predict(
        self, prompt: Tensor, head: Heads, encoded: Encoded, decode: str = "argmax", width: int | None = None
    ) -> Callable[[], list[Prediction]]:
        """What one prompt predicts for some examples, in one pass. The predictions are read, which waits
        for the device, when the result is called.

        Args:
            prompt: folded, [N, d].
            decode: trainer.decode: how a written answer is read where it is a label.
            width: sequences are padded to so many tokens; to the longest if None.
        """

    @abstractmethod
    def answer(self, questions: list[Question]) -> list[Answer]:
        """Answer questions of any tasks, each behind its own prompt, in one pass, with probabilities. Every answer is
        the one that its question gets alone."""


def recompute_layers(model: nn.Module, dropout: bool) -> None:
    """Let each layer of the model drop what its backward pass needs and compute it again there."""
    for layer in model.modules():
        if isinstance(layer, GradientCheckpointingLayer) and "forward" not in vars(layer):
            layer.forward = partial(checkpoint, layer.forward, use_reentrant=False, preserve_rng_state=dropout)


def attention_bias(mask: Tensor) -> Tensor:
    """What to add to attention scores, [B, 1, 1 or Q, S] float32, from a mask [B, S] or [B, Q, S], 1 where something
    is seen. transformers uses this form as it is; with any other it asks the device first whether anything is masked.
    """
    mask = mask[:, None] if mask.dim() == 3 else mask[:, None, None]
    return torch.zeros(mask.shape, device=mask.device).masked_fill_(mask == 0, torch.finfo(torch.float32).min)


def fingerprint(model: nn.Module) -> str:
    """A digest of a sample of every weight: cheap for the largest model, and different for any two real ones."""
    digest = hashlib.sha256()
    for name, weight in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(weight.flatten()[:: max(1, weight.numel() // 1024)].float().numpy().tobytes())
    return digest.hexdigest()[:16]


def fingerprint_with_settings(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> str:
    """A digest of the weights, and of settings beside them that change outputs and are not the type's default."""
    return fingerprint(model) + settings_suffix(model, tokenizer)
