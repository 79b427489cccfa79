"""Checks of the configuration alone. They run before anything slow is imported."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Iterable, Iterator
from operator import attrgetter
from pathlib import Path

from rpt.config.schema import GROUPS, PROMPT_TUNING, BackboneConfig, Config, DataConfig, TaskConfig
from rpt.errors import UsageError
from rpt.files import check_folder

QUANTIZED = ("8bit", "4bit")  # of backbone.weights, by bitsandbytes
CHOICES = {
    "prompt.init": ("vocabulary", "uniform", "text", "labels", "saved"),
    "data.name": ("hub", "folder", "mini"),
    "trainer.precision": ("auto", "fp32", "bf16", "fp16"),
    "trainer.adamw": ("torch", "transformers"),
    "trainer.order": ("grouped", "once"),
    "trainer.decode": ("argmax", "generate", "likeliest"),
    "protocol.selection": ("reported", "held_out"),
    "tracking.name": ("wandb", "none"),
    "resume": ("auto", "never"),
    "backbone.head": ("cls", "spans"),
    "backbone.pooling": ("cls", "mean", "cosine"),
    "pack.on": ("here", "local", "slurm", "ray"),
    "backbone.weights": ("auto", "float32", "bf16", *QUANTIZED),
}
PRECISIONS_OF_USE = ("auto", "fp32", "bf16")  # that trained prompts can be used in
AT_LEAST_ONE = (
    "trainer.epochs", "trainer.max_steps", "trainer.batch_size", "trainer.accumulation", "trainer.eval_batch_size",
    "trainer.eval_every", "trainer.patience", "trainer.checkpoint_every", "data.shots", "backbone.max_tokens",
    "pack.max_runs", "pack.max_tokens", "pack.processes", "method.adapter", "task.max_answer_tokens",
)  # fmt: skip
POSITIVE = ("lr", "trainer.network_lr", "trainer.head_lr", "trainer.clip", "trainer.eps")
NOT_NEGATIVE = ("seed", "data.shots_seed", "data.mini_seed")
NAMES = (*(f"{group}.name" for group in GROUPS if group != "pack"), "backbone.embedded")
LARGEST = 1e30  # number for training, with room for products: float32 ends at 3e38
SMALLEST = 1e-30  # float32 underflows to 0 below 1e-45
LARGEST_COUNT = 2**31 - 1
WIDEST = 2**16  # layer or adapter, and most tokens of a text: T5-11B's widest layer
MIN_TEXT_TOKENS = 32  # that a prompt must leave to the text


def validate(config: Config) -> None:
    """Refuse what cannot run with any prompts, tasks and devices.

    Raises:
        UsageError: naming the key, its value and the remedy.
    """
    validate_settings(config)
    _check_places(config)


def validate_settings(config: Config) -> None:
    """`validate` without files and folders, which a finished run does not need.

    Raises:
        UsageError: naming the key, its value and the remedy.
    """
    _check_texts(config)
    _check_names(config)
    _check_choices(config)
    _check_numbers(config)
    _check_task(config)
    _check_method(config)
    _check_prompt(config)
    _check_backbone(config)


def find_idle(config: Config) -> list[str]:
    """The settings that change nothing in this run: one line for each, with the choice that would use it."""
    default = Config()
    uses = {
        "prompt.init_text": config.prompt.init == "text" or "prompt.init=text",
        "prompt.init_path": config.prompt.init == "saved" or "prompt.init=saved",
        "data.shots_seed": config.data.shots is not None or "data.shots=N",
        "data.mini_seed": config.data.name == "mini" or "data=mini",
        "data.repo": config.data.name == "hub" or "data=hub",
        "protocol.held_out": config.protocol.selection == "held_out" or "protocol.selection=held_out",
        "trainer.network_lr": config.prompt.reparameterization != "identity"
        or "a prompt with a network: residual, mlp",
        "trainer.head_lr": (config.backbone.family == "bert" and config.head_has_own_lr)
        or "a prompt before an encoder",
        "method.biases": config.method.weights is not None or "method.weights",
        "tracking.project": config.tracking.name == "wandb" or "tracking=wandb",
        "tracking.entity": config.tracking.name == "wandb" or "tracking=wandb",
        "backbone.revision": bool(hub_model(config.backbone)) or "backbone.hub=ID",
    }
    unused = {key: attrgetter(key) for key, use in uses.items() if use is not True}
    idle = {key: value(config) for key, value in unused.items() if value(config) != value(default)}
    return [f"{key}={value} changes nothing without {uses[key]}." for key, value in idle.items()]


def is_name(text: str) -> bool:
    """Whether the text can be the name of a folder on any system."""
    return re.fullmatch(r"[A-Za-z0-9._-]{1,100}", text) is not None and text.strip(".") != ""


def check_choice(key: str, value: str, allowed: Iterable[str]) -> None:
    """Refuse a value that is not among those allowed.

    Raises:
        UsageError: naming the choices.
    """
    if value not in (known := tuple(allowed)):
        raise UsageError(f"{key}={value} is not known; choose one of: {', '.join(known)}.")


def backbone_source(backbone: BackboneConfig) -> tuple[str, str]:
    """Where the backbone comes from: the first key that is set of "path", "embedded", "package" and "hub", and its
    value.

    Raises:
        UsageError: none is set.
    """
    for source in ("path", "embedded", "package", "hub"):
        if (value := getattr(backbone, source)) is not None:
            return source, value
    raise UsageError("The backbone has neither a folder nor a hub id; give backbone.path=... or backbone.hub=...")


def hub_repos(config: Config) -> dict[str, str]:
    """What the run takes from the hub: the id of its "dataset", of its "model", of both or of neither."""
    repos = {"dataset": config.data.repo} if config.data.name == "hub" else {}
    return repos | hub_model(config.backbone)


def hub_model(backbone: BackboneConfig) -> dict[str, str]:
    """The id of the "model" on the hub; empty if the backbone comes from elsewhere."""
    source, place = backbone_source(backbone)
    return {"model": place} if source == "hub" else {}


def _check_texts(config: Config) -> None:
    """Refuse empty texts, and those that UTF-8 cannot encode: Python turns invalid bytes of an argument into lone
    surrogates."""

    def texts_in(value: object, key: str) -> Iterator[tuple[str, str]]:
        if isinstance(value, dict):
            for name, inner in value.items():
                yield from texts_in(inner, f"{key}.{name}")
        elif isinstance(value, str):
            yield key.removeprefix("."), value

    for key, text in texts_in(dataclasses.asdict(config), ""):
        if not text and key not in NAMES and not key.startswith(("method.peft.", "prompt.options.")):
            raise UsageError(f"{key}= is empty; give a value, or leave it out.")
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise UsageError(f"{key}={text!r:.80} is not UTF-8 text; type it again.") from error


def _check_names(config: Config) -> None:
    for key in NAMES:
        if (name := attrgetter(key)(config)) is not None and not is_name(name):
            raise UsageError(
                f"{key}={name:.120} becomes a part of a path; give up to 100 letters, digits, '.', '_' and '-'."
            )


def _check_choices(config: Config) -> None:
    for key, allowed in CHOICES.items():
        check_choice(key, attrgetter(key)(config), allowed)


def _check_numbers(config: Config) -> None:
    for key in AT_LEAST_ONE:
        most = WIDEST if key in ("method.adapter", "backbone.max_tokens") else LARGEST_COUNT
        if (number := attrgetter(key)(config)) is not None and not 1 <= number <= most:
            raise UsageError(f"{key}={number} must be 1 or more, and {most} at most.")
    for key in POSITIVE:
        if (number := attrgetter(key)(config)) is not None and not SMALLEST <= number <= LARGEST:
            raise UsageError(f"{key}={number} must be a positive number from {SMALLEST:g} to {LARGEST:g}.")
    for key in NOT_NEGATIVE:
        if not 0 <= (number := attrgetter(key)(config)) <= LARGEST_COUNT:
            raise UsageError(f"{key}={number} must not be negative, and {LARGEST_COUNT} at most.")
    if not 0 <= (number := config.trainer.weight_decay) <= LARGEST:
        raise UsageError(f"trainer.weight_decay={number} must not be negative, and {LARGEST:g} at most.")
    if not 0 < config.protocol.held_out < 1:
        raise UsageError(f"protocol.held_out={config.protocol.held_out} must lie between 0 and 1.")


def _check_task(config: Config) -> None:
    """Refuse a custom task without fields or rows, and the keys of custom tasks beside a built-in one."""
    task = config.task
    if task.name == "custom" and not task.fields:
        raise UsageError(
            "task=custom needs the columns to read, in order: task.fields=[text], and task.labels=[bad,good]."
        )
    names_no_rows = config.data.name == "hub" and config.data.repo == DataConfig().repo and task.hub_config is None
    if task.fields and names_no_rows:
        raise UsageError(
            f"task={task.name} has no rows; give task.train=FILE task.validation=FILE, or data.repo=ID of the hub."
        )
    set_keys = [key for key, value in dataclasses.asdict(task).items() if value != getattr(TaskConfig(), key)]
    if not task.fields and (further := [key for key in set_keys if key != "name"]):
        raise UsageError(
            f"task.{further[0]} is for a task that task.fields=[…] declares, and {task.name} is none; leave it out."
        )


def _check_method(config: Config) -> None:
    parts = [key for key in ("weights", "adapter", "peft", "head_only") if getattr(config.method, key)]
    if len(parts) != (not config.tunes_prompt):
        raise UsageError(
            f"method={config.method.name} has {' and '.join(parts) or 'nothing'} to train; give one of method.weights, "
            f"method.adapter, method.peft and method.head_only, or none with method={PROMPT_TUNING}."
        )
    if config.method.head_only and config.backbone.family != "bert":
        raise UsageError(f"method={config.method.name} trains an encoder's head, and {config.backbone.name} has none.")
    try:
        re.compile(config.method.weights or "")
    except re.error as error:
        raise UsageError(f"method.weights={config.method.weights} is no regular expression: {error}.") from error
    for option, value in config.method.peft.items():
        if isinstance(value, int | float) and not abs(value) <= WIDEST:
            raise UsageError(f"method.peft.{option}={value} must be {WIDEST} at most.")


def _check_prompt(config: Config) -> None:
    prompt, backbone = config.prompt, config.backbone
    longest = backbone.max_tokens - MIN_TEXT_TOKENS
    if prompt.length < 0 or (prompt.length == 0) != (prompt.name == "none"):
        raise UsageError(
            f"prompt.length={prompt.length} does not fit prompt={prompt.name}; give 1 or more, or prompt=none."
        )
    if prompt.length > longest:
        shorter = f"prompt.length={longest} or less, or " * (longest > 0)
        raise UsageError(
            f"prompt.length={prompt.length} is longer than backbone {backbone.name} has room for: "
            f"prompt and text share {backbone.max_tokens} tokens and {MIN_TEXT_TOKENS} are reserved for the text; "
            f"give {shorter}backbone.max_tokens={prompt.length + MIN_TEXT_TOKENS} or more."
        )
    if prompt.init == "text" and not prompt.init_text:
        raise UsageError('prompt.init=text needs the text: prompt.init_text="..."')


def _check_places(config: Config) -> None:
    data, backbone = config.data, config.backbone
    if backbone_source(backbone)[0] == "path":
        _check_path(backbone.path, "backbone.path", "a folder as save_pretrained writes it")
    if config.prompt.init == "saved":
        _check_path(config.prompt.init_path, "prompt.init_path", "the prompt.safetensors of a finished run")
    if data.name == "folder":
        layout = "a folder in the official SuperGLUE layout, with BoolQ/train.jsonl and so on"
        _check_path(data.dir, "data.dir", layout)
        if not os.path.isdir(os.path.expanduser(data.dir or ".")):
            raise UsageError(f"data.dir={data.dir} is no folder; give {layout}, or the one that has task.train's file.")
    if data.name == "mini" and data.dir is not None:
        raise UsageError("data=mini makes its own rows; leave out either data=mini or data.dir.")
    if not os.path.isdir(config.results):  # an existing one may hold the finished run even if it cannot be written
        check_folder(Path(config.results), "results")
    if config.tracking.name == "wandb":
        check_folder(Path(config.tracking.dir), "tracking.dir")


def _check_backbone(config: Config) -> None:
    backbone, scale = config.backbone, config.backbone.stream_scale
    if scale != "auto" and not (type(scale) in (int, float) and SMALLEST <= scale <= LARGEST):
        raise UsageError(
            f"backbone.stream_scale={scale} must be auto, or a positive number from {SMALLEST:g} to {LARGEST:g}."
        )
    if backbone.family == "bert" and backbone.stream_scale != 1:
        raise UsageError("backbone.stream_scale is for T5 and decoders: an encoder's norms stand behind each sum.")
    if backbone.family != "bert" and backbone.pooling != "cls":
        raise UsageError("backbone.pooling is for encoders: others write their answers, and no head reads one state.")
    if backbone.pooling == "cosine" and backbone.head != "cls":
        raise UsageError("backbone.pooling=cosine compares whole texts: leave backbone.head=spans out.")
    if backbone.weights == "bf16" and config.trainer.precision not in ("auto", "bf16"):
        raise UsageError(
            f"backbone.weights=bf16 is computed in bf16; leave out trainer.precision={config.trainer.precision}."
        )
    if backbone.weights in QUANTIZED and config.method.weights:
        raise UsageError(
            f"method={config.method.name} trains weights that backbone.weights={backbone.weights} rounds; leave it "
            "out, or take method=prompt or lora."
        )
    if backbone.family == "bert" and config.prompt.name == "none" and config.tunes_prompt:
        raise UsageError(
            f"prompt=none has nothing to train, and without training backbone {backbone.name} has no head to "
            "answer with; choose prompt=vanilla, mlp, lstm or residual, or a T5: backbone=t5_base, backbone=nano."
        )


def _check_path(path: str | None, key: str, what: str) -> None:
    if path is None or not os.path.exists(os.path.expanduser(path)):
        raise UsageError(f"{key}={path} does not exist; give {what}.")
