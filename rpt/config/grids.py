"""Experiments: the grids of runs behind the paper's tables and figures (configs/experiment/, configs/scale/).

`python -m rpt.train -m +experiment=figure4 scale=mini` trains one; here the same grid is laid out without training,
for those who count its runs or look for their records.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml
from hydra import compose, initialize_config_dir
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper  # what splits `a=1,2 b=3,4` for -m
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

from rpt.config import Config, config_folder, register, to_config
from rpt.errors import UsageError

SCALES = ("paper", "laptop", "mini")
# Behind an experiment's name: rows of its table that are a grid of their own, for their budget is or their axes are.
ENCODERS, METHODS = "_encoders", "_methods"
GROUPS = tuple(f.name for f in dataclasses.fields(Config) if dataclasses.is_dataclass(f.default_factory))

Point = tuple[str, ...]


@dataclass(frozen=True)
class Experiment:
    """A grid of runs.

    axes: every key of the grid and its values as they are written, e.g. {"prompt": ("vanilla", "residual"), ...};
        a key with one value is an axis too, and "seed" is among them. Methods that are no prompt tuning stand among
        the prompts.
    jobs: the configuration at each point, whose values stand in the order of the axes.
    commands: what trains it.
    """

    name: str
    scale: str
    axes: dict[str, tuple[str, ...]]
    jobs: dict[Point, Config]
    commands: tuple[str, ...]


def names() -> list[str]:
    """Every experiment there is: tables first. Its encoders and methods are parts of it."""
    found = [path.stem for path in _files() if not path.stem.endswith((ENCODERS, METHODS))]
    return sorted(found, key=lambda name: (not name.startswith("table"), name))


def _files() -> list[Path]:
    return list(Path(config_folder(), "experiment").glob("*.yaml"))


def lay_out(name: str, scale: str = "paper", overrides: tuple[str, ...] = ()) -> Experiment:
    """The grid of an experiment, as `-m +experiment=<name> scale=<scale> <overrides>` would run it.

    Raises:
        UsageError: there is no such experiment or scale.
    """
    if name not in names():
        raise UsageError(f"There is no experiment {name}; choose one of: {', '.join(names())}.")
    if scale not in SCALES:
        raise UsageError(f"There is no scale {scale}; choose one of: {', '.join(SCALES)}.")
    register()
    whole = _grid(name, scale, overrides)
    files = [path.stem for path in _files()]
    if f"{name}{ENCODERS}" in files:
        whole = _with(whole, _grid(f"{name}{ENCODERS}", scale, overrides))
    if f"{name}{METHODS}" in files and not any(word.startswith("prompt") for word in overrides):
        whole = _with(whole, _grid(f"{name}{METHODS}", scale, overrides))
    return whole


def _with(whole: Experiment, part: Experiment) -> Experiment:
    """Both grids as one. Axes that the part has not stand at the whole's first value; further ones are left out."""
    given = dict(part.axes)
    given["prompt"] = given.pop("method", given.get("prompt", ()))
    axes = {key: tuple(dict.fromkeys((*values, *given.get(key, ())))) for key, values in whole.axes.items()}
    jobs = dict(whole.jobs)
    for point, config in part.jobs.items():
        at = {key: values[0] for key, values in axes.items()} | dict(zip(part.axes, point, strict=True))
        at["prompt"] = at.get("method", at["prompt"])
        jobs.setdefault(tuple(at[key] for key in axes), config)
    if len(jobs) == len(whole.jobs):  # scale=laptop has encoders only, in the first grid already
        return whole
    return Experiment(whole.name, whole.scale, axes, jobs, (*whole.commands, *part.commands))


def _grid(name: str, scale: str, overrides: tuple[str, ...]) -> Experiment:
    """The grid of one file."""
    with initialize_config_dir(config_folder(), version_base="1.3"):
        chosen = [f"+experiment={name}", f"scale={scale}"]
        grid = compose("train", chosen, return_hydra_config=True).hydra.sweeper.params
        words = [*(f"{key}={value}" for key, value in grid.items()), *overrides]
        (points,) = BasicSweeper.split_arguments(OverridesParser.create().parse_overrides(words), None)
        settings = [dict(word.split("=", 1) for word in point) for point in points]
        axes = {key: tuple(dict.fromkeys(point[key] for point in settings)) for key in settings[0]}
        jobs = {tuple(point.values()): _job(point, scale) for point in settings}
    command = f"python -m rpt.train -m +experiment={name} scale={scale}"
    rows = " data.dir=FOLDER" if scale == "laptop" else ""  # the one scale whose rows no command can find
    return Experiment(name, scale, axes, jobs, (command + rows,))


def _job(point: dict[str, str], scale: str) -> Config:
    """Nothing else depends on a run's task and seed, in which most runs of a grid differ: so the rest of it, and they,
    are made once, and not once for every run."""
    own = tuple((key, value) for key, value in point.items() if key.partition(".")[0] in ("task", "seed"))
    rest = tuple(setting for setting in point.items() if setting not in own)
    of_run = _made(scale, own)
    return dataclasses.replace(_made(scale, rest), task=of_run.task, seed=of_run.seed)


@cache
def _made(scale: str, settings: tuple[tuple[str, str], ...]) -> Config:
    """An experiment holds nothing but its axes, and a group's choice fills its own node alone."""
    config, given = OmegaConf.create(_base(scale)), dict(settings)  # a copy
    for group in given.keys() & set(GROUPS):
        config[group] = _choice(group, given[group])
    for key in given.keys() - set(GROUPS):
        OmegaConf.update(config, key, yaml.safe_load(given[key]))
    return to_config(config)


@cache
def _base(scale: str) -> DictConfig:
    return compose("train", [f"+scale={scale}"])


@cache
def _choice(group: str, name: str) -> DictConfig:
    return compose(None, [f"+{group}={name}"])[group]
