"""Prompt and head before training."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import torch
from torch import Tensor, nn

from rpt.backbones import Backbone
from rpt.config import Config
from rpt.data.tokens import Tokens
from rpt.errors import UsageError
from rpt.prompts import SoftPrompt, Start, from_labels, from_text, from_vocabulary, uniform
from rpt.prompts.prompt_file import load_prompt
from rpt.records.run_folder import check_beside
from rpt.tasks import Task


def make_soft_prompt(config: Config, task: Task, backbone: Backbone) -> SoftPrompt | None:
    """The initial prompt of a run (by default sampled vocabulary rows, as in the paper, section 4).

    Raises:
        UsageError: the prompt cannot be initialised in this way.
    """
    prompt = config.prompt
    if prompt.length == 0:
        return None
    table = _make_table(config, task, backbone)
    # torch's global generator initialises the network; it is seeded with the run's seed.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        try:
            soft_prompt = SoftPrompt(Start(table, backbone.embeddings), prompt.reparameterization, **prompt.options)
        except ValueError as error:  # the backbone's width or vocabulary does not fit
            raise UsageError(f"prompt={prompt.name}: {error}.") from error
    return soft_prompt.to(backbone.device)


def fingerprint_saved_start(config: Config, task: Task, backbone: Backbone) -> str | None:
    """A digest of the saved prompt that the run begins with, for another prompt may lie at its path one day; None if
    the run begins with no saved prompt.

    Raises:
        UsageError: that prompt cannot be used.
    """
    if config.prompt.init != "saved" or config.prompt.length == 0:
        return None
    return hashlib.sha256(_make_table(config, task, backbone).numpy().tobytes()).hexdigest()


def _make_table(config: Config, task: Task, backbone: Backbone) -> Tensor:
    """The initial values of the table [N, d].

    Raises:
        UsageError: they cannot be had.
    """
    prompt, embeddings = config.prompt, backbone.embeddings.cpu()
    generator = torch.Generator().manual_seed(config.seed)

    def tokenise(text: str) -> Tokens:
        return backbone.tokenizer(text, add_special_tokens=False)["input_ids"]

    makers = {
        "vocabulary": lambda: from_vocabulary(embeddings, prompt.length, generator),
        "uniform": lambda: uniform(prompt.length, embeddings.shape[1], generator),
        "text": lambda: from_text(embeddings, tokenise(prompt.init_text or ""), prompt.length, generator),
        "labels": lambda: from_labels(
            embeddings, [tokenise(word) for word in task.verbalizers or ()], prompt.length, generator
        ),
        "saved": lambda: load_table(os.path.expanduser(prompt.init_path or ""), prompt.length, embeddings.shape[1]),
    }
    try:
        return makers[prompt.init]()
    except ValueError as error:
        raise UsageError(f"prompt.init={prompt.init}: {str(error).removesuffix('.')}.") from error


def load_table(path: str | Path, length: int, d_model: int) -> Tensor:
    """Load a saved prompt as initial values: [N, d].

    Raises:
        ValueError: the file cannot be read, was changed after its run, or has a prompt of another shape.
    """
    check_beside(Path(path))
    prompt = load_prompt(path)
    if tuple(prompt.shape) != (length, d_model):
        raise ValueError(
            f"prompt {path} has shape {tuple(prompt.shape)}, this run needs {(length, d_model)}; "
            f"set prompt.length={len(prompt)} and take the backbone that it was trained with"
        )
    return prompt


def make_head(config: Config, task: Task, backbone: Backbone) -> nn.Module | None:
    """The initial head of a run, seeded with the run's seed; None if the backbone needs none."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        head = backbone.new_head(task, config.backbone)
    return None if head is None else head.to(backbone.device)
