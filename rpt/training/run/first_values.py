"""Prompt and head before training."""

from __future__ import annotations

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
    """The prompt of a run before training (paper, section 4: sampled vocabulary rows, unless told otherwise).

    Raises:
        UsageError: the prompt cannot be initialised so.
    """
    prompt = config.prompt
    if prompt.length == 0:
        return None
    try:
        table = _make_table(config, task, backbone)
    except ValueError as error:
        raise UsageError(f"prompt.init={prompt.init}: {error}.") from error
    # The network's weights come from torch's global generator; the seed of the run decides them too.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        try:
            soft_prompt = SoftPrompt(Start(table, backbone.embeddings), prompt.reparameterization, **prompt.options)
        except ValueError as error:  # of this backbone's width or vocabulary
            raise UsageError(f"prompt={prompt.name}: {error}.") from error
    return soft_prompt.to(backbone.device)


def _make_table(config: Config, task: Task, backbone: Backbone) -> Tensor:
    """The first values of the table [N, d]."""
    prompt, embeddings = config.prompt, backbone.embeddings.cpu()
    generator = torch.Generator().manual_seed(config.seed)

    def tokenise(text: str) -> Tokens:
        return backbone.tokenizer(text, add_special_tokens=False)["input_ids"]

    def tokenise_labels() -> list[Tokens]:
        return [tokenise(label) for label in task.verbalizers]

    return {
        "vocabulary": lambda: from_vocabulary(embeddings, prompt.length, generator),
        "uniform": lambda: uniform(prompt.length, embeddings.shape[1], generator),
        "text": lambda: from_text(embeddings, tokenise(prompt.init_text), prompt.length, generator),
        "labels": lambda: from_labels(embeddings, tokenise_labels(), prompt.length, generator),
        "saved": lambda: load_table(Path(os.path.expanduser(prompt.init_path)), prompt.length, embeddings.shape[1]),
    }[prompt.init]()


def load_table(path: str | Path, length: int, d_model: int) -> Tensor:
    """A saved prompt to start from: [N, d].

    Raises:
        ValueError: the file cannot be read, is not as its run left it, or its prompt has another shape.
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
    """What the backbone needs beside a prompt, before training; the seed of the run decides its weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        head = backbone.new_head(task, config.backbone)
    return None if head is None else head.to(backbone.device)
