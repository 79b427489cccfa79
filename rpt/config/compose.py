"""The overrides of a command become a `Config`. Hydra composes the choices, their values are typed here."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, TypeVar, get_type_hints

from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

from rpt.config.choices import (
    PROMPT_KEYS,
    WITHOUT_FILE,
    choices,
    config_folder,
    default_options,
    unknown_key,
    user_folders,
    wrong_type,
)
from rpt.config.schema import GROUPS, Config, PromptConfig, Values
from rpt.errors import UsageError

Kind = TypeVar("Kind")
PROMPT_DEFAULTS = {f.name: f.default for f in dataclasses.fields(PromptConfig) if f.name in PROMPT_KEYS}
_Root = dataclasses.make_dataclass(  # the keys outside of groups
    "_Root",
    [
        (f.name, get_type_hints(Config)[f.name], field(default=f.default, default_factory=f.default_factory))
        for f in dataclasses.fields(Config)
        if f.name not in GROUPS
    ],
)


@dataclass
class ComposedConfig(Config):
    """`Config` as Hydra composes it: the options of a prompt stand beside its other keys, so its node accepts any
    key."""

    prompt: Values = field(default_factory=PROMPT_DEFAULTS.copy)  # type: ignore[assignment]  # wider on purpose


@cache
def register() -> None:
    """Register with Hydra the classes that YAML files fill (their `defaults: [schema]`), the choices without a file,
    and the resolvers `choices` (for --help) and `by_task`."""
    from hydra.core.config_store import ConfigStore  # slow to import, and reading records needs no Hydra

    store = ConfigStore.instance()
    store.store(name="schema", node=ComposedConfig)
    for group, cls in GROUPS.items():
        store.store(group=group, name="schema", node=PROMPT_DEFAULTS if group == "prompt" else cls)
    for group, named in WITHOUT_FILE.items():
        for name, content in named.items():
            node = PROMPT_DEFAULTS | content if group == "prompt" else GROUPS[group](**content)
            store.store(group=group, name=name, node=node)
    register_resolvers()


@cache
def register_resolvers() -> None:
    """Register what `${choices:task}` and `${by_task:60,{wsc: 120}}` stand for."""
    OmegaConf.register_new_resolver("choices", lambda group: " ".join(choices(group)), replace=True)
    OmegaConf.register_new_resolver("by_task", _by_task, replace=True)


def _by_task(default: object, others: Values, *, _root_: DictConfig) -> object:
    """The value of `${by_task:60,{wsc: 120}}`: 120 for WSC, 60 for any other task.

    Raises:
        UsageError: a name is not a task.
    """
    if unknown := [name for name in others if name not in choices("task")]:
        raise UsageError(f"by_task names {unknown[0]}, which is no task; choose from: {', '.join(choices('task'))}.")
    return others.get(_root_.task.name, default)


def compose(primary: str | None, overrides: Sequence[str], with_hydra: bool = False) -> DictConfig:
    """Let Hydra compose the YAML file `primary` ("train", or None for none) and the overrides.

    Args:
        overrides: as the user types them: "task=cb", "+experiment=table1".
        with_hydra: whether to include Hydra's own node.

    Raises:
        HydraException: an override names an unknown key or choice.
    """
    import hydra  # slow to import
    from hydra.core.global_hydra import GlobalHydra

    register()
    outer = GlobalHydra.instance().hydra  # of the user's own application, which may call `rpt.train`
    GlobalHydra.instance().clear()
    try:
        with hydra.initialize_config_dir(config_folder(), version_base="1.3"):
            return hydra.compose(primary, [*overrides, *_search_path()], return_hydra_config=with_hydra)
    finally:
        GlobalHydra.instance().hydra = outer


def without_hydra(job: DictConfig) -> DictConfig:
    """A copy of a job's configuration without Hydra's own part, as the task function gets it."""
    return OmegaConf.masked_copy(job, [str(key) for key in job if key != "hydra"])


def _search_path() -> list[str]:
    """The override that adds the user's folders to Hydra's search path, each as a quoted string."""
    quoted = [quote(f"file://{folder}") for folder in user_folders()]
    return [f"hydra.searchpath=[{','.join(quoted)}]"] if quoted else []


def quote(text: str) -> str:
    """The text as a quoted string of Hydra's grammar, which escapes quotes and the backslashes before them."""
    from hydra.core.override_parser.types import Quote, QuotedString  # slow to import

    return QuotedString(text, Quote.double).with_quotes()


def to_config(cfg: DictConfig, overrides: Sequence[str] = ()) -> Config:
    """Turn the composed configuration into objects. `data.dir=...` and `task.train=...` imply data=folder; a method
    other than prompt tuning implies prompt=none. Only types are checked here; `validate` checks values.

    Args:
        cfg: from `compose`, without Hydra's own node; it is not changed.
        overrides: those that composed it, if known.

    Raises:
        UsageError: an override sets a prompt for such a method, a value is missing or has the wrong type, or a key or
            group is unknown.
        OmegaConfBaseException: an interpolation cannot be resolved.
    """
    return make_config(to_values(cfg), overrides)


def to_values(cfg: DictConfig, resolve: bool = True) -> Values:
    """The same as plain data.

    Raises:
        OmegaConfBaseException: an interpolation cannot be resolved.
    """
    values: Any = OmegaConf.to_container(cfg, resolve=resolve)
    return values


def make_config(values: Values, overrides: Sequence[str] = ()) -> Config:
    """`to_config` for plain dictionaries, {group: {key: value}, key: value}, without interpolations."""
    for group in GROUPS:
        if not isinstance(values.get(group, {}), dict):  # an interpolation set it
            raise UsageError(f"{group}={values[group]!r:.80} is no group; choose one of: {', '.join(choices(group))}.")
        _check_name(group, values.get(group, {}), overrides)
    root: object = _typed(_Root, {key: value for key, value in values.items() if key not in GROUPS})
    groups = {group: _typed(cls, values.get(group, {}), group) for group, cls in GROUPS.items() if group != "prompt"}
    config = Config(**vars(root), **groups, prompt=_prompt_config(values["prompt"]))
    scale = config.backbone.stream_scale
    config.backbone.stream_scale = float(scale) if type(scale) is int else scale  # 1 and 1.0 are one run
    config.results, config.tracking.dir = map(os.path.expanduser, (config.results, config.tracking.dir))
    if config.data.name == "hub" and config.data.dir is not None:
        config.data.name = "folder"
    if config.task.train is not None and config.data.name in ("hub", "folder"):
        config.data.name, config.data.dir = "folder", config.data.dir or "."
    if not config.tunes_prompt:
        prompts = [each for each in overrides if each.lstrip("+~").startswith("prompt") and each != "prompt=none"]
        if prompts:
            raise UsageError(f"method={config.method.name} trains no soft prompt; leave out {' '.join(prompts)}.")
        config.prompt = PromptConfig(name="none", reparameterization="identity", length=0)
    return config


def _check_name(group: str, values: Values, overrides: Sequence[str]) -> None:
    """Refuse a group without a choice, and a choice without a name."""
    for key in ("name", "reparameterization"):
        if values.get(key, "") == MISSING:
            if f"~{group}" in overrides:
                raise UsageError(f"~{group} leaves a run without one; choose one of: {', '.join(choices(group))}.")
            raise UsageError(f"The YAML file of the chosen {group} lacks the line `{key}: ...`; add it.")


def _prompt_config(values: Values) -> PromptConfig:
    """The prompt's keys with their types, and all options of its reparameterization."""
    prompt = _typed(PromptConfig, {key: value for key, value in values.items() if key in PROMPT_KEYS}, "prompt")
    defaults = default_options(prompt.reparameterization)
    prompt.options = {key: value for key, value in values.items() if key not in PROMPT_KEYS}
    for key, value in prompt.options.items():  # dropout=0 becomes 0.0: the run's identity distinguishes them
        if type(value) is int and isinstance(defaults.get(key), float):
            prompt.options[key] = float(value)
    prompt.options |= {key: value for key, value in defaults.items() if key not in prompt.options}
    return prompt


_typed_before: dict[tuple[type, str], Any] = {}  # the runs of a sweep share most groups


def _typed(cls: type[Kind], values: Values, group: str = "") -> Kind:
    """The values as an instance of the class, with its types.

    Args:
        group: the group of the keys, for messages.
    """
    known = cls, repr(values)
    if known not in _typed_before:
        try:
            _typed_before[known] = OmegaConf.to_object(OmegaConf.merge(cls, values))
        except OmegaConfBaseException as error:
            key = ".".join(filter(None, (group, error.full_key)))
            if isinstance(error, ConfigKeyError | ConfigAttributeError):
                raise unknown_key(key) from error
            said, value = str(error).splitlines()[0], values.get(error.full_key or "", "")
            raise wrong_type(key, value, said) or UsageError(f"{key}={value}: {said}.") from error
    return dataclasses.replace(_typed_before[known])
