"""The choices of each group. They stand in YAML files of configs/ and of the user's own folder; a choice whose name
says all needs no file."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import ParamSpec, TypeVar, cast

from rpt.config.schema import GROUPS, Config, PromptConfig, Values
from rpt.config.validate import CHOICES
from rpt.config.yaml_files import read_yaml
from rpt.errors import UsageError
from rpt.prompt_options import OPTIONS
from rpt.tasks import TASKS

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")
PROMPT_KEYS = tuple(f.name for f in dataclasses.fields(PromptConfig) if f.name != "options")
GRIDS = ("experiment", "scale")  # groups whose files set keys of every group

# Choices without a file: each name of a list, and each reparameterization with its options.
WITHOUT_FILE: dict[str, dict[str, Values]] = {
    "task": {name: {"name": name} for name in tuple(TASKS)},
    "data": {name: {"name": name} for name in CHOICES["data.name"]},
    "tracking": {name: {"name": name} for name in CHOICES["tracking.name"]},
    "trainer": {"default": {"name": "default"}},
    "protocol": {"paper": {"name": "paper"}},
    "prompt": {
        name: {"name": name, "reparameterization": name, **dataclasses.asdict(options())}
        for name, options in OPTIONS.items()
        if name != "identity"  # its choice is called vanilla
    },
}

_user_folders: list[str] = []  # that `--config-dir` added to this process
_caches: list[Callable[[], None]] = []


def cached(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """functools.cache for functions that read the YAML files; adding a folder of them clears it."""
    caching = cache(function)
    _caches.append(caching.cache_clear)
    return cast(Callable[Parameters, Result], caching)


def config_folder() -> str:
    """The folder of the YAML files: inside the package if it is installed, beside it in a checkout."""
    package = Path(__file__).parents[1]
    return str(package / "configs" if (package / "configs").is_dir() else package.parent / "configs")


def user_folders() -> tuple[str, ...]:
    """The folders that `--config-dir` added."""
    return tuple(_user_folders)


def use_config_folder(folder: str) -> None:
    """Also read choices from a folder of the user, laid out like configs/.

    Raises:
        UsageError: the folder does not exist, or one of its files has the name of an existing choice.
    """
    if not Path(folder).is_dir():
        raise UsageError(
            f"--config-dir {folder} is no folder; give one with prompt/NAME.yaml, task/NAME.yaml and so on."
        )
    resolved = str(Path(folder).resolve())
    if resolved in (*_user_folders, str(Path(config_folder()).resolve())):
        return
    for group in (*GROUPS, *GRIDS):
        if taken := sorted(set(choices(group)) & _names_of_files(resolved, group)):
            raise UsageError(f"{folder}/{group}/{taken[0]}.yaml: {group}={taken[0]} is there already; rename the file.")
    _user_folders.append(resolved)
    for clear in _caches:
        clear()


def choices(group: str) -> list[str]:
    """The names that `group=` accepts, sorted."""
    names = set(WITHOUT_FILE.get(group, {}))
    return sorted(names.union(*(_names_of_files(folder, group) for folder in (config_folder(), *_user_folders))))


def _names_of_files(folder: str, group: str) -> set[str]:
    return {path.stem for path in Path(folder, group).glob("*.yaml")}


@cached
def read_choice(group: str, name: str) -> Values:
    """The content of a choice, including its list of `defaults`. It is cached: do not change it.

    Raises:
        UsageError: there is no such choice, or its file is not YAML with keys and values.
    """
    for folder in (config_folder(), *_user_folders):
        path = Path(folder, group, f"{name}.yaml")
        if path.is_file():
            content = read_yaml(path)
            if not isinstance(content, dict):
                raise UsageError(f"{path} holds no keys; write lines of the form `key: value`.")
            return content
    if name in WITHOUT_FILE.get(group, {}):
        return WITHOUT_FILE[group][name]
    raise UsageError(f"There is no {group}={name}; choose one of: {', '.join(choices(group))}.")


@cached
def default_options(reparameterization: str) -> Values:
    """The options of a reparameterization and their defaults. Those of a plugin are listed in the YAML file of its
    name; without a file there are none."""
    if reparameterization in OPTIONS:
        return dataclasses.asdict(OPTIONS[reparameterization]())
    if reparameterization not in choices("prompt"):
        return {}
    listed = read_choice("prompt", reparameterization)
    return {key: value for key, value in listed.items() if key not in (*PROMPT_KEYS, "defaults")}


@cached
def known_keys() -> list[str]:
    """Every key that can be set, as it is typed: lr, prompt.length, prompt.bottleneck, …"""
    keys = []
    for f in dataclasses.fields(Config):
        inner = [each.name for each in dataclasses.fields(GROUPS[f.name])] if f.name in GROUPS else []
        if f.name == "prompt":
            options = (key for name in choices("prompt") for key in read_choice("prompt", name) if key != "defaults")
            inner = list(dict.fromkeys([*PROMPT_KEYS, *options]))
        keys += [f.name, *(f"{f.name}.{key}" for key in inner)]
    return keys


def wrong_type(key: str, value: object, said: str) -> UsageError | None:
    """The error for a value of a wrong type; None if OmegaConf complained of something else."""
    kinds = {
        "converted to Integer": "a whole number",
        "converted to Float": "a number",
        "not a valid bool": "true or false",
        "not a ListConfig": f"a list: {key}=[{value}]",
    }
    kind = next((kind for part, kind in kinds.items() if part in said), None)
    return UsageError(f"{key}={value}: {said.rstrip('.')}; give {kind}.") if kind else None


def unknown_key(key: str) -> UsageError:
    """The error for an unknown key, with the most similar known key."""
    if key == "scale":
        return UsageError("scale is for experiments; add -m +experiment=NAME.")
    if key == "experiment":
        return UsageError("+experiment=NAME is for rpt.train -m; rpt.plan takes the name alone: rpt.plan NAME")
    near = difflib.get_close_matches(key, known_keys(), n=1, cutoff=0.5)
    return UsageError(f"There is no key {key}; {f'did you mean {near[0]}?' if near else '--help lists all keys.'}")
