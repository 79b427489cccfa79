"""What the files of experiments and scales give each key; imports no Hydra, as laying out their grids does."""

from __future__ import annotations

import dataclasses
import re
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from rpt.config.compose import YAML_LOADER, config_folder
from rpt.config.schema import TrainerConfig


def may_hold(settings: dict[str, Any]) -> bool:
    """Whether a run may be one of an experiment's: a quick look at what the files of experiments and scales say.

    Args:
        settings: of the run, as `rpt.config.settings` has them.

    Returns:
        False only where no experiment holds it; True also for runs that mix values of several experiments.
    """
    allowed, defaults = _values_in_files(), _trainer_defaults()
    names = {key: settings[key]["name"] for key in ("task", "backbone", "prompt")}
    if "method" in settings:
        names["method"] = names.pop("prompt") and settings["method"]["name"]
    trainer = {key: value for key, value in settings["trainer"].items() if key in defaults}
    return all(value in allowed[key] for key, value in names.items()) and all(
        str(value) == defaults[key] or str(value) in allowed.get(f"trainer.{key}", ()) for key, value in trainer.items()
    )


@cache
def _trainer_defaults() -> dict[str, str]:
    return {key: str(value) for key, value in dataclasses.asdict(TrainerConfig()).items()}


@cache
def _values_in_files() -> dict[str, set[str]]:
    """Every value that a file of an experiment or a scale gives a key."""
    found: dict[str, set[str]] = {}
    for path in (path for group in ("experiment", "scale") for path in Path(config_folder(), group).rglob("*.yaml")):
        content = yaml.load(path.read_text("utf-8"), YAML_LOADER) or {}
        for key, values in content.get("hydra", {}).get("sweeper", {}).get("params", {}).items():
            found.setdefault(key, set()).update(str(values).split(","))
        for key, value in content.get("trainer", {}).items():  # 60, or "${by_task:60,{wsc: 120}}"
            found.setdefault(f"trainer.{key}", set()).update(re.findall(r"[^\W_][\w.-]*", str(value)))
    return found
