"""An experiment's files merged without Hydra. It takes a hundredth of the time.

tests/config/test_grids.py compares both. Lists of `defaults` may have what our files use: _self_, schema, a choice of
the same group, /group: choice, optional and override.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

from omegaconf import OmegaConf

from rpt.config.choices import cached, choices, config_folder, read_choice
from rpt.config.compose import ComposedConfig, make_config, register_resolvers, to_values
from rpt.config.schema import GROUPS, Config, Values, merge
from rpt.config.yaml_files import read_yaml
from rpt.errors import UsageError

REFERENCE = re.compile(r"\$\{([A-Za-z_][\w.]*)\}")


@dataclass(frozen=True)
class Layers:
    """chosen: the choice of each group. values: keys that the files set themselves, which take precedence over the
    choices. sweep: the axes of the experiment, as its files write them."""

    chosen: dict[str, str]
    values: Values
    sweep: Values

    def config_at(self, point: Mapping[str, object]) -> Config:
        """The configuration with these choices and values: {"task": "cb", "prompt.length": 10}.

        Raises:
            UsageError: there is no such choice or key, or a value has the wrong type.
            OmegaConfBaseException: an interpolation cannot be resolved.
        """
        chosen = self.chosen | {key: str(value) for key, value in point.items() if key in GROUPS}
        values = _defaults() | {group: _read_group(group, chosen[group]) for group in GROUPS if group in chosen}
        asked: Values = {}
        for key, value in point.items():
            if key not in GROUPS:
                asked = merge(asked, _nest(key, value))
        values = merge(merge(values, self.values), asked)
        return make_config({key: _resolve(value, values) for key, value in values.items()})


@cached
def read_layers(experiment: str, scale: str) -> Layers:
    """What `-m +experiment=<experiment> scale=<scale>` composes, except the axes.

    Raises:
        UsageError: a file cannot be read, or its `defaults` are not supported here.
    """
    chosen = {"scale": scale}
    train = read_yaml(Path(config_folder(), "train.yaml"))
    values = merge(
        _apply_defaults("", train, chosen), _apply_defaults("experiment", read_choice("experiment", experiment), chosen)
    )
    sweep = values.pop("hydra").get("sweeper", {}).get("params", {})
    return Layers(chosen, values, sweep)


def _apply_defaults(group: str, content: Values, chosen: dict[str, str]) -> Values:
    """The content of a file, merged with its list of `defaults`.

    Args:
        group: of the file.
        chosen: the choices of groups; those that the file makes are added.
    """
    plain = {key: value for key, value in content.items() if key != "defaults"}
    entries = content.get("defaults", [])
    values: Values = {}
    for entry in entries if "_self_" in entries else [*entries, "_self_"]:
        if entry == "_self_":
            values = merge(values, plain)
        elif isinstance(entry, str):
            values = merge(values, {} if entry == "schema" else _read_group(group, entry))
        else:
            ((key, name),) = entry.items()
            values = merge(values, _apply_entry(group, key, str(name), chosen))
    return values


def _apply_entry(group: str, key: str, name: str, chosen: dict[str, str]) -> Values:
    """The content of a list entry: `/scale: paper`, `optional /scale/table1: "${scale}"` or `override /data:
    folder`."""
    *flags, other = key.split()
    other = other.removeprefix("/")
    name = re.sub(r"\$\{(\w+)\}", lambda match: chosen.get(match[1], match[0]), name)
    if other in GROUPS:
        chosen[other] = name
    elif other.partition("/")[0] == "scale" and "override" not in flags:
        name = chosen.get(other, name)
        if "optional" not in flags or name in choices(other):
            return _apply_defaults(other, read_choice(other, name), chosen)
    elif not other.startswith("hydra"):
        raise UsageError(f"{group} has `{key}: {name}` among its defaults, which a grid cannot follow; leave it out.")
    return {}


@cached
def _read_group(group: str, name: str) -> Values:
    """The content of a choice, over the defaults of its class."""
    return merge(_defaults()[group], _apply_defaults(group, read_choice(group, name), {}))


@cache
def _defaults() -> Values:
    return to_values(OmegaConf.structured(ComposedConfig), resolve=False)


def _nest(key: str, value: object) -> Values:
    """{"trainer": {"epochs": 3}} for trainer.epochs=3."""
    first, _, rest = key.partition(".")
    return {first: _nest(rest, value) if rest else value}


def _resolve(value: object, root: Values) -> object:
    """The value, with its interpolations resolved."""
    if isinstance(value, dict):
        return {key: _resolve(inner, root) for key, inner in value.items()}
    if isinstance(value, list):
        return [_resolve(inner, root) for inner in value]
    if not isinstance(value, str) or "${" not in value:
        return value
    names = ["task.name", *REFERENCE.findall(value)]  # by_task needs the task
    values = {name: look_up(root, name) for name in names}
    referred = {name: _resolve(each, root) for name, each in values.items() if isinstance(each, str | int | float)}
    return _interpolate(value, tuple(referred), *referred.values())


def look_up(values: Values, key: str) -> object:
    """The value of a key as it is typed (trainer.epochs), or a whole group; None if it is missing."""
    value: object = values
    for part in key.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


@lru_cache(maxsize=None, typed=True)
def _interpolate(text: str, keys: tuple[str, ...], *values: object) -> object:
    """Let OmegaConf resolve a text, in a configuration that has only the keys that the text refers to."""
    register_resolvers()
    tree = OmegaConf.create()
    for key, value in zip((*keys, "_text"), (*values, text), strict=True):
        OmegaConf.update(tree, key, value, force_add=True)
    return tree._text
