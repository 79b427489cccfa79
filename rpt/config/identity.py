"""Which run a configuration stands for. Runs of equal identity compute the same numbers."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable
from functools import cache

from rpt.config.choices import default_options
from rpt.config.schema import PROMPT_TUNING, Config, Values, head_has_own_lr, merge

# Keys that do not change a run's numbers, or that the fingerprints of rows and weights cover.
OUTSIDE_IDENTITY = (
    "plugins", "tracking", "results", "force", "resume",
    "data.name", "data.repo", "data.dir", "data.cache", "data.mini_seed",
    "task.train", "task.validation", "task.hub_config", "task.hub_split", "task.shared_text",
    "backbone.hub", "backbone.revision", "backbone.path", "backbone.embedded", "backbone.package", "backbone.lr",
    "backbone.finetune_lr", "method.lr", "trainer.name", "trainer.precision", "trainer.eval_batch_size",
    "trainer.gradient_checkpointing", "trainer.checkpoint_every", "pack",
)  # fmt: skip
ONLY_CUSTOM_TASKS = (
    "task.fields", "task.labels", "task.words", "task.answer", "task.metric", "task.template", "task.max_answer_tokens",
)  # fmt: skip  # part of the identity of their runs alone
ONLY_ENCODERS = ("backbone.head", "trainer.head_lr")  # part of the identity of an encoder's runs alone
# Runs are older than these keys: part of the identity of runs that have another value than the default.
ADDED_LATER = ("trainer.adamw", "backbone.stream_scale", "backbone.pooling", "backbone.weights", "method.head_only")


def as_dict(config: Config) -> Values:
    """The configuration as in config.yaml: {group: {key: value}, key: value} with plain types; the options of a
    reparameterization stand beside the prompt's other keys. Lists are shared, not copied: a grid calls this for each of
    its runs."""
    values = {key: {**vars(part)} if dataclasses.is_dataclass(part) else part for key, part in vars(config).items()}
    values["prompt"] |= values["prompt"].pop("options")
    return values


def settings(config: Values) -> Values:
    """The part of a configuration that decides a run's numbers, apart from rows and weights.

    It omits newer keys at their defaults, so that a run keeps the identity of its first record.

    Args:
        config: from `as_dict` or a record's config.yaml; a key that the record lacks has its default. It is not
        changed.

    Returns:
        The configuration, nested by group, without OUTSIDE_IDENTITY and without the keys of encoders, custom tasks and
        methods that the run does not use.

    Raises:
        KeyError: a group or its name is missing (`rpt.records.checks.check_config` refuses that first).
    """
    defaults = _defaults()
    values = merge(defaults, config)
    values["prompt"] = default_options(config["prompt"]["reparameterization"]) | values["prompt"]
    left_out = [*OUTSIDE_IDENTITY]
    if values["backbone"]["family"] != "bert":
        left_out += ONLY_ENCODERS
    if not values["task"]["fields"]:
        left_out += ONLY_CUSTOM_TASKS
    for group, key in (each.split(".") for each in ADDED_LATER):
        if values[group][key] == defaults[group][key]:
            left_out.append(f"{group}.{key}")
    if not head_has_own_lr(values["method"]["name"], values["method"]["head_only"], values["backbone"]["pooling"]):
        values["trainer"]["head_lr"] = defaults["trainer"]["head_lr"]
    if values["method"]["name"] == PROMPT_TUNING:  # its records are older than the group
        left_out.append("method")
    drop_keys(values, left_out)
    return values


@cache
def _defaults() -> Values:
    return as_dict(Config())


def drop_keys(values: Values, keys: Iterable[str]) -> None:
    """Remove keys, as they are typed ("trainer.eps"), from a configuration as `as_dict` returns it, in place.

    Raises:
        KeyError: a key is missing.
    """
    for key in keys:
        *parents, last = key.split(".")
        inner = values
        for parent in parents:
            inner = inner[parent]
        inner.pop(last)


def run_id(config: Config, rows: str, weights: str, precision: str, saved_start: str | None = None) -> str:
    """A short name, equal for two runs exactly if they compute the same numbers:
    n<length>-lr<lr>[-k<shots>]-seed<seed>-<eight digits of a SHA-256>.

    Args:
        config: its `settings` count.
        rows: fingerprint of the rows.
        weights: fingerprint of the backbone.
        precision: of the backbone: `trainer.precision`, where auto is resolved for this machine.
        saved_start: fingerprint of the prompt that it begins with, under prompt.init=saved; its path does not count.
    """
    identity = settings(as_dict(config)) | {"rows": rows, "weights": weights, "precision": precision}
    if saved_start is not None:
        identity["prompt"]["init_path"] = saved_start
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:8]
    shots = f"-k{config.data.shots}" if config.data.shots else ""
    return f"n{config.prompt.length}-lr{config.lr:g}{shots}-seed{config.seed}-{digest}"
