"""What a configuration alone shows to be wrong, refused before anything slow is imported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rpt.config.schema import PROMPT_TUNING, BackboneConfig, Config
from rpt.errors import UsageError

CHOICES = {
    "prompt.init": ("vocabulary", "uniform", "text", "labels", "saved"),
    "data.name": ("hub", "folder", "mini"),
    "trainer.precision": ("auto", "fp32", "bf16", "fp16"),
    "trainer.order": ("grouped", "once"),
    "trainer.decode": ("argmax", "generate"),
    "protocol.selection": ("reported", "held_out"),
    "tracking.name": ("wandb", "none"),
    "resume": ("auto", "never"),
    "backbone.family": ("t5", "bert"),
    "backbone.head": ("cls", "spans"),
}
AT_LEAST_ONE = (
    "trainer.epochs", "trainer.max_steps", "trainer.batch_size", "trainer.accumulation", "trainer.eval_batch_size",
    "trainer.eval_every", "trainer.patience", "trainer.checkpoint_every", "data.shots", "backbone.max_tokens",
    "pack.max_runs", "pack.max_tokens", "pack.processes", "method.adapter",
)  # fmt: skip
POSITIVE = ("lr", "trainer.network_lr", "trainer.head_lr", "trainer.clip", "trainer.eps")
NOT_NEGATIVE = ("trainer.weight_decay", "seed", "data.shots_seed", "data.mini_seed")
MIN_TEXT_TOKENS = 32  # that a prompt has to leave for the text


def validate(config: Config) -> None:
    """Refuse what cannot run, whatever the prompts, tasks and devices that there are.

    Raises:
        UsageError: naming the key, its value and the remedy.
    """
    _check_choices(config)
    _check_numbers(config)
    _check_method(config)
    _check_prompt(config)
    _check_data(config)
    _check_backbone(config)


def check_choice(config: Config, key: str, allowed: tuple[str, ...]) -> None:
    """Refuse a value that is not among those allowed.

    Raises:
        UsageError: with the choices.
    """
    if _value(config, key) not in allowed:
        raise UsageError(f"{key}={_value(config, key)} is not known; choose one of: {', '.join(allowed)}.")


def backbone_source(backbone: BackboneConfig) -> str:
    """Where the backbone comes from: "path", "embedded", "package" or "hub", the first one that is given.

    Raises:
        UsageError: none is.
    """
    for source in ("path", "embedded", "package", "hub"):
        if getattr(backbone, source) is not None:
            return source
    raise UsageError("The backbone has neither a folder nor a hub id; give backbone.path=... or backbone.hub=...")


def needs_hub(config: Config) -> bool:
    """Whether rows or backbone come from the hub."""
    return "hub" in (config.data.name, backbone_source(config.backbone))


def _value(config: Config, key: str) -> Any:
    found = config
    for part in key.split("."):
        found = getattr(found, part)
    return found


def _check_choices(config: Config) -> None:
    for key, allowed in CHOICES.items():
        check_choice(config, key, allowed)


def _check_numbers(config: Config) -> None:
    for key in AT_LEAST_ONE:
        if (number := _value(config, key)) is not None and number < 1:
            raise UsageError(f"{key}={number} must be 1 or more.")
    for key in POSITIVE:
        if (number := _value(config, key)) is not None and not 0 < number < float("inf"):
            raise UsageError(f"{key}={number} must be a positive number.")
    for key in NOT_NEGATIVE:
        if (number := _value(config, key)) < 0:
            raise UsageError(f"{key}={number} must not be negative.")
    if not 0 < config.protocol.held_out < 1:
        raise UsageError(f"protocol.held_out={config.protocol.held_out} must lie between 0 and 1.")


def _check_method(config: Config) -> None:
    given = [key for key in ("weights", "adapter", "peft") if getattr(config.method, key)]
    if len(given) != (not config.tunes_prompt):
        raise UsageError(
            f"method={config.method.name} has {' and '.join(given) or 'nothing'} to train; give one of method.weights, "
            f"method.adapter and method.peft, or none with method={PROMPT_TUNING}."
        )


def _check_prompt(config: Config) -> None:
    prompt, backbone = config.prompt, config.backbone
    longest = backbone.max_tokens - MIN_TEXT_TOKENS
    if prompt.length < 0 or (prompt.length == 0) != (prompt.name == "none"):
        raise UsageError(
            f"prompt.length={prompt.length} does not fit prompt={prompt.name}; give 1 or more, or prompt=none."
        )
    if prompt.length > longest:
        raise UsageError(
            f"prompt.length={prompt.length} is longer than backbone {backbone.name} has room for: "
            f"prompt and text share {backbone.max_tokens} tokens and {MIN_TEXT_TOKENS} are kept for the text; "
            f"give prompt.length={longest} or less, or raise backbone.max_tokens."
        )
    if prompt.init == "text" and not prompt.init_text:
        raise UsageError('prompt.init=text needs the text: prompt.init_text="..."')
    if prompt.init == "saved":
        _check_path(prompt.init_path, "prompt.init_path", "the prompt.safetensors of a finished run")


def _check_data(config: Config) -> None:
    data = config.data
    if data.name == "folder":
        _check_path(data.dir, "data.dir", "a folder in the official SuperGLUE layout, with BoolQ/train.jsonl and so on")
    if data.name == "mini" and data.dir is not None:
        raise UsageError("data=mini makes its own rows; leave out either data=mini or data.dir.")


def _check_backbone(config: Config) -> None:
    backbone = config.backbone
    if backbone_source(backbone) == "path":
        _check_path(backbone.path, "backbone.path", "a folder as save_pretrained writes it")
    if backbone.family == "bert" and config.prompt.name == "none" and config.tunes_prompt:
        raise UsageError(
            f"prompt=none has nothing to train, and without training backbone {backbone.name} has no head to "
            "answer with; choose prompt=vanilla, mlp, lstm or residual, or a T5: backbone=t5_base, backbone=nano."
        )


def _check_path(path: str | None, key: str, what: str) -> None:
    if path is None or not Path(path).expanduser().exists():
        raise UsageError(f"{key}={path} does not exist; give {what}.")
