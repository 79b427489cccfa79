"""Checks before a run starts. Whatever can be known to go wrong is refused with one message."""

from __future__ import annotations

import os

import torch

from rpt.backbones import find_family
from rpt.config import Config, PromptConfig, validate
from rpt.config.validate import WIDEST, check_choice
from rpt.data import task_for
from rpt.data.plugins import load_plugins
from rpt.errors import UsageError
from rpt.prompts import REPARAMETERIZATIONS
from rpt.prompts.contract import check_prompt, find_options
from rpt.tasks import PROTOCOLS, TASKS


def check(config: Config) -> None:
    """Refuse what cannot run: what `rpt.config.validate` refuses, and what prompts, tasks and device do not allow.

    Raises:
        UsageError: naming the key, its value and the remedy.
    """
    validate(config)
    load_plugins(config.plugins)
    find_family(config.backbone)
    if not config.task.fields:  # which declare one
        check_choice("task.name", config.task.name, TASKS)
    check_choice("protocol.name", config.protocol.name, PROTOCOLS)
    if config.prompt.reparameterization not in REPARAMETERIZATIONS:
        raise UsageError(
            f"prompt.reparameterization={config.prompt.reparameterization} is not known; choose one of: "
            f"{', '.join(REPARAMETERIZATIONS)}; or name the module that registers it, plugins=[mine.prompts]."
        )
    _check_prompt(config.prompt)
    _check_task(config)
    _check_device(config)


def _check_prompt(prompt: PromptConfig) -> None:
    """Its class and its options, found out without memory for its weights."""
    try:
        parameters = find_options(prompt.reparameterization)
        for name, value in prompt.options.items():
            if name not in parameters:
                known = ", ".join(f"prompt.{option}" for option in parameters) or "none"
                raise UsageError(f"prompt.{name}={value} is no option of prompt={prompt.name}; its options: {known}.")
            kind = parameters[name].annotation
            if type(value) is not kind:  # an int for a float would be another run than the float
                hint = f"; write {value}.0, in its YAML file too" if (type(value), kind) == (int, float) else ""
                raise UsageError(f"prompt.{name}={value} must be of type {kind.__name__}{hint}.")
            if isinstance(value, int | float) and not abs(value) <= WIDEST:
                raise UsageError(f"prompt.{name}={value} must be {WIDEST} at most.")
        check_prompt(prompt.reparameterization, max(1, prompt.length), prompt.options)
    except UsageError:
        raise
    except ValueError as error:
        raise UsageError(f"prompt={prompt.name}: {error}.") from error


def _check_task(config: Config) -> None:
    task = task_for(config)
    if config.prompt.init == "labels" and task.verbalizers is None:
        raise UsageError(
            f"prompt.init=labels needs a task with fixed labels; {config.task.name} has open answers; "
            "choose prompt.init=vocabulary or text."
        )
    if config.backbone.head == "spans" and not (config.backbone.family == "bert" and task.encoder_marks):
        raise UsageError(
            "backbone.head=spans needs an encoder (backbone=bert_base, …) and marked words (task=wic, task=wsc); "
            "leave it out."
        )
    if config.backbone.pooling == "cosine" and not task.encoder_pairs:
        raise UsageError(f"backbone.pooling=cosine needs a task with two texts; {task.name} has one: leave it out.")


def _check_device(config: Config) -> None:
    if os.environ.get("WORLD_SIZE", "") not in ("", "0", "1"):
        raise UsageError(
            "One run trains in one process; start it without torchrun: hydra/launcher=packed uses all GPUs."
        )
    if config.trainer.precision == "fp16" and not torch.cuda.is_available():
        raise UsageError(
            "trainer.precision=fp16 needs a CUDA device, and there is none; use trainer.precision=fp32 or bf16."
        )
