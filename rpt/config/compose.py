"""From the YAML files of configs/ and the words of a command to a `Config`, by Hydra."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ValidationError

from rpt.config.schema import GROUPS, Config, PromptConfig
from rpt.errors import UsageError

YAML_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast where libyaml is there
Made = TypeVar("Made", bound=Callable[..., Any])
PROMPT_KEYS = tuple(f.name for f in dataclasses.fields(PromptConfig) if f.name != "options")


def _prompt_defaults() -> dict[str, Any]:
    return {f.name: f.default for f in dataclasses.fields(PromptConfig) if f.name in PROMPT_KEYS}


@dataclass
class ComposedConfig(Config):
    """`Config` as Hydra composes it: a prompt's options stand beside its other keys, so its node takes any."""

    prompt: dict[str, Any] = field(default_factory=_prompt_defaults)  # type: ignore[assignment]  # wider on purpose


def config_folder() -> str:
    """The folder of the YAML files: inside the package when installed, beside it in a checkout."""
    package = Path(__file__).parents[1]
    return str(package / "configs" if (package / "configs").is_dir() else package.parent / "configs")


@cache
def register() -> None:
    """Give Hydra the classes that the YAML files fill (their `defaults: [schema]`), and --help its lists of choices."""
    from hydra.core.config_store import ConfigStore  # slow to import, and those who read records need no Hydra

    store = ConfigStore.instance()
    store.store(name="schema", node=ComposedConfig)
    for group, cls in GROUPS.items():
        store.store(group=group, name="schema", node=cls)
    store.store(group="prompt", name="schema", node=_prompt_defaults())
    OmegaConf.register_new_resolver("choices", lambda group: " ".join(choices(group)), replace=True)
    OmegaConf.register_new_resolver("by_task", _by_task, replace=True)


def _by_task(default: Any, others: dict[str, Any], *, _root_: DictConfig) -> Any:
    """What `${by_task:60,{wsc: 120}}` stands for: 60, and 120 where the task is WSC.

    Raises:
        UsageError: one of them is no task.
    """
    if unknown := [name for name in others if name not in choices("task")]:
        raise UsageError(f"by_task names {unknown[0]}, which is no task; choose from: {', '.join(choices('task'))}.")
    return others.get(_root_.task.name, default)


_own_folders: list[str] = []  # of this process: `--config-dir` is given once
_emptied: list[Callable[[], None]] = []


def kept(function: Made) -> Made:
    """functools.cache, for what is made of the YAML files: it forgets when another folder of them is added."""
    caching = cache(function)
    _emptied.append(caching.cache_clear)
    return cast(Made, caching)


def use_config_folder(folder: str) -> None:
    """Look for choices in a folder of one's own too, laid out as configs/ is.

    Raises:
        UsageError: there is no such folder.
    """
    if not Path(folder).is_dir():
        raise UsageError(
            f"--config-dir {folder} is no folder; give one with prompt/NAME.yaml, task/NAME.yaml and so on."
        )
    _own_folders.append(str(Path(folder).resolve()))
    for empty in _emptied:
        empty()


def choices(group: str) -> list[str]:
    """The names that `group=` takes, in configs/ and in folders of one's own, sorted."""
    folders = [config_folder(), *_own_folders]
    return sorted({path.stem for folder in folders for path in Path(folder, group).glob("*.yaml")})


def compose(primary: str | None, words: Sequence[str], with_hydra: bool = False) -> DictConfig:
    """What Hydra composes of the YAML file `primary` ("train", or None for nothing) and the words of a command.

    Args:
        words: overrides as they are typed: "task=cb", "+experiment=table1".
        with_hydra: whether Hydra's own node comes with it.

    Raises:
        HydraException: a word names no key or no choice.
    """
    import hydra  # slow to import

    register()
    with hydra.initialize_config_dir(config_folder(), version_base="1.3"):
        own = [f"hydra.searchpath=[{','.join(f'file://{folder}' for folder in _own_folders)}]"] if _own_folders else []
        return hydra.compose(primary, [*words, *own], return_hydra_config=with_hydra)


@kept
def compose_choice(group: str, name: str) -> DictConfig:
    """The node that a choice of a group fills; kept, so not to be changed.

    Raises:
        HydraException: there is no such choice.
    """
    return compose(None, [f"+{group}={name}"])[group]


def to_config(cfg: DictConfig, words: Sequence[str] = ()) -> Config:
    """The composed configuration as objects: `data.dir=...` and `task.train=...` mean data=folder, another method than
    prompt tuning means prompt=none. Nothing is checked but what is needed for that: `validate` does.

    Args:
        cfg: as `compose` gives it, without Hydra's own node; it is not changed.
        words: the overrides it was composed with, as far as they are known.

    Raises:
        UsageError: they want a prompt beside such a method, a key of the prompt is missing or of the wrong type, or a
            group is no group.
        OmegaConfBaseException: a value is missing (`???`), of the wrong type, or an interpolation leads nowhere.
    """
    for key in ("name", "reparameterization"):
        if OmegaConf.is_missing(cfg.prompt, key):
            raise UsageError(f"The YAML file of the chosen prompt lacks the line `{key}: ...`; add it.")
    composed: Any = OmegaConf.to_object(cfg)
    values = {f.name: getattr(composed, f.name) for f in dataclasses.fields(Config)}
    for group in GROUPS:
        if not isinstance(values[group], dict if group == "prompt" else GROUPS[group]):  # by an interpolation
            raise UsageError(f"{group}={values[group]!r:.80} is no group; choose one of: {', '.join(choices(group))}.")
    config = Config(**values | {"prompt": _prompt_config(composed.prompt)})
    if config.data.name == "hub" and config.data.dir is not None:
        config.data.name = "folder"
    if config.task.train is not None and config.data.name in ("hub", "folder"):
        config.data.name, config.data.dir = "folder", config.data.dir or "."
    if not config.tunes_prompt:
        wanted = [word for word in words if word.startswith("prompt") and word != "prompt=none"]
        if wanted:
            raise UsageError(f"method={config.method.name} trains no soft prompt; leave out {' '.join(wanted)}.")
        config.prompt = PromptConfig(name="none", reparameterization="identity", length=0)
    return config


def _prompt_config(values: dict[str, Any]) -> PromptConfig:
    """The prompt's keys with their types, and its reparameterization's own as options."""
    known = {key: value for key, value in values.items() if key in PROMPT_KEYS}
    try:
        prompt: Any = OmegaConf.to_object(OmegaConf.merge(PromptConfig, known))
    except ValidationError as error:
        reason = str(error).split("\n")[0]
        raise UsageError(f"prompt.{error.full_key}={known[error.full_key]}: {reason}.") from error
    defaults = default_options(prompt.reparameterization)
    for key, value in values.items():
        if key not in known:  # dropout=0 is 0.0: to the run's identity they are not the same
            as_float = type(value) is int and isinstance(defaults.get(key), float)
            prompt.options[key] = float(value) if as_float else value
    return prompt


@kept
def default_options(reparameterization: str) -> dict[str, Any]:
    """The options of a reparameterization and their defaults, as the YAML file of its name lists them; none where
    there is no such file."""
    paths = [Path(folder, "prompt", f"{reparameterization}.yaml") for folder in (config_folder(), *_own_folders)]
    path = next((path for path in paths if path.exists()), None)
    listed = yaml.load(path.read_text("utf-8"), YAML_LOADER) or {} if path else {}
    return {key: value for key, value in listed.items() if key not in (*PROMPT_KEYS, "defaults")}


def known_keys() -> list[str]:
    """Every key that can be set, as one writes it: lr, prompt.length, prompt.bottleneck, …"""
    keys = []
    for f in dataclasses.fields(Config):
        keys.append(f.name)
        inner: Iterable[str] = [inner.name for inner in dataclasses.fields(GROUPS[f.name])] if f.name in GROUPS else []
        if f.name == "prompt":
            inner = dict.fromkeys([*PROMPT_KEYS, *(key for name in choices("prompt") for key in default_options(name))])
        keys += [f"{f.name}.{key}" for key in inner]
    return keys
