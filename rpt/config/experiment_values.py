"""What the files of experiments and scales give each key; imports no Hydra, as laying out their grids does."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from rpt.config.compose import YAML_LOADER, config_folder
from rpt.config.schema import TrainerConfig

Values = dict[str, set[str]]


def may_hold(settings: dict[str, Any]) -> bool:
    """Whether a run may be one of an experiment's: a quick look at what the files of experiments and scales say.

    Args:
        settings: of the run, as `rpt.config.settings` has them.

    Returns:
        False only where no experiment holds it; True also for runs that mix values of several experiments.
    """
    given = {key: str(settings[key]["name"]) for key in ("task", "backbone", "prompt")}
    if "method" in settings:
        given["method"] = given.pop("prompt") and str(settings["method"]["name"])
    given |= {f"trainer.{key}": str(value) for key, value in settings["trainer"].items()}
    return any(
        all(value in allowed.get(key, (value,)) for key, value in given.items()) for allowed in _values_by_scale()
    )


@cache
def _values_by_scale() -> list[Values]:
    return [_values_at(path.stem) for path in Path(config_folder(), "scale").glob("*.yaml")]


def _values_at(scale: str) -> Values:
    """Every value that a key may have at a scale. The scale's own file comes last but for its parts for some
    experiments, so that what it says of a key holds, and neither the experiments nor the defaults do."""
    folder = Path(config_folder())
    defaults = {f"trainer.{key}": {str(value)} for key, value in dataclasses.asdict(TrainerConfig()).items()}
    found = _values_in((folder / "experiment").glob("*.yaml"))
    found = _joined(defaults, found) | _values_in([folder / "scale" / f"{scale}.yaml"])
    return _joined(found, _values_in((folder / "scale").glob(f"*/{scale}.yaml")))


def _values_in(paths: Iterable[Path]) -> Values:
    """Every value that a file of these gives a key."""
    found: Values = {}
    for path in paths:
        content = yaml.load(path.read_text("utf-8"), YAML_LOADER) or {}
        for key, values in content.get("hydra", {}).get("sweeper", {}).get("params", {}).items():
            found = _joined(found, {key: set(str(values).split(","))})
        for key, value in content.get("trainer", {}).items():  # 60, or "${by_task:60,{wsc: 120}}"
            words = {"None" if word == "null" else word for word in re.findall(r"[^\W_][\w.-]*", str(value))}
            found = _joined(found, {f"trainer.{key}": words})
    return found


def _joined(some: Values, others: Values) -> Values:
    return {key: some.get(key, set()) | others.get(key, set()) for key in (*some, *others)}
