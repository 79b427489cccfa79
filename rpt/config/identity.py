"""Which run a configuration stands for. Runs of equal identity compute the same numbers."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable
from functools import cache
from typing import Any

from rpt.config.choices import default_options
from rpt.config.schema import PROMPT_TUNING, Config, head_has_own_lr

# What does not change a run's numbers, or stands in the fingerprints instead, and so is no part of its identity.
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


def as_dict(config: Config) -> dict[str, Any]:
    """The configuration as config.yaml holds it: {group: {key: value}, key: value}, of plain types, the options of a
    reparameterization beside the prompt's other keys."""
    values = dataclasses.asdict(config)
    values["prompt"] |= values["prompt"].pop("options")
    return values


def settings(config: dict[str, Any]) -> dict[str, Any]:
    """What of a configuration decides a run's numbers, but for the rows and the weights.

    What came later than the first records and stands at what those had is left out, so that a run keeps its identity.

    Args:
        config: as `as_dict` gives it, or as a record's config.yaml holds it; a key that came later than the record has
            its default. It is not changed.

    Returns:
        The same nested by group, without the keys that change nothing (OUTSIDE_IDENTITY, and those of encoders, own
        tasks and methods where the run has none).

    Raises:
        KeyError: a group or its name is missing (`rpt.records.checks.check_config` refuses that before).
    """
    defaults = _defaults()
    values = _filled(config, defaults)
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
    if values["method"]["name"] == PROMPT_TUNING:  # whose runs are older than the key
        left_out.append("method")
    drop_keys(values, left_out)
    return values


@cache
def _defaults() -> dict[str, Any]:
    return as_dict(Config())


def drop_keys(values: dict[str, Any], keys: Iterable[str]) -> None:
    """Take keys, as one types them ("trainer.eps"), out of a configuration as `as_dict` gives it, in place.

    Raises:
        KeyError: one is not there.
    """
    for key in keys:
        *parents, last = key.split(".")
        inner = values
        for parent in parents:
            inner = inner[parent]
        inner.pop(last)


def _filled(config: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    """A copy with the defaults of the keys that it lacks, at every level."""
    merged = defaults | config
    return {
        key: _filled(value, defaults[key]) if isinstance(value, dict) and isinstance(defaults.get(key), dict) else value
        for key, value in merged.items()
    }


def run_id(config: Config, rows: str, weights: str, precision: str) -> str:
    """A short name that is equal for two runs exactly when they compute the same thing:
    n<length>-lr<lr>[-k<shots>]-seed<seed>-<eight digits of a SHA-256>.

    Args:
        config: of which `settings` count.
        rows: fingerprint of the data.
        weights: fingerprint of the backbone.
        precision: of the backbone, what `trainer.precision` comes to on this machine.
    """
    identity = settings(as_dict(config)) | {"rows": rows, "weights": weights, "precision": precision}
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:8]
    shots = f"-k{config.data.shots}" if config.data.shots else ""
    return f"n{config.prompt.length}-lr{config.lr:g}{shots}-seed{config.seed}-{digest}"
