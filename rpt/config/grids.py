"""Experiments: the grids of runs behind the paper's tables and figures (configs/experiment/, configs/scale/).

`python -m rpt.train -m +experiment=figure4 scale=mini` trains one; here the same grid is laid out without training,
for those who count its runs or look for their records.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

from rpt.config.compose import choices, compose, compose_choice, to_config
from rpt.config.mistakes import explained_mistakes
from rpt.config.schema import GROUPS, Config
from rpt.errors import UsageError

SCALES = ("paper", "laptop", "mini")
# Behind an experiment's name: parts of its table that are a grid of their own, for their budget is or their axes are.
ENCODERS, METHODS = "_encoders", ("_methods", "_methods_wic")

Axes = dict[str, tuple[str, ...]]
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
    axes: Axes
    jobs: dict[Point, Config]
    commands: tuple[str, ...]


def names() -> list[str]:
    """Every experiment there is, in configs/ and in folders of one's own: tables first, then by name. The files of
    its encoders and methods are parts of an experiment, and not among them."""
    found = [name for name in choices("experiment") if not name.endswith((ENCODERS, *METHODS))]
    return sorted(found, key=lambda name: (not name.startswith("table"), name))


class Grids:
    """The experiments at one scale. What their runs have in common is composed once, and kept as long as this object.

    Args:
        scale: one of SCALES.
        overrides: as on the command line, e.g. "task=cb,wic": axes given anew, or further ones.

    Raises:
        UsageError: there is no such scale.
    """

    def __init__(self, scale: str = "paper", overrides: Iterable[str] = ()):
        if scale not in SCALES:
            raise UsageError(f"There is no scale {scale}; choose one of: {', '.join(SCALES)}.")
        self.scale, self.overrides = scale, tuple(overrides)
        self._parser = OverridesParser.create()
        self._configs: dict[tuple[tuple[str, str], ...], Config] = {}

    def lay_out(self, name: str) -> Experiment:
        """The grid of an experiment, as `-m +experiment=<name> scale=<scale> <overrides>` would run it, together with
        those of its encoders and methods. An override of the prompt leaves the methods out, which have none.

        Args:
            name: one of `names()`.

        Raises:
            UsageError: there is no such experiment, or an override names no key or choice.
        """
        if name not in names():
            raise UsageError(f"There is no experiment {name}; choose one of: {', '.join(names())}.")
        parts = [f"{name}{ENCODERS}"]
        if not any(word.startswith("prompt") for word in self.overrides):
            parts += [f"{name}{methods}" for methods in METHODS]
        with explained_mistakes():
            whole = self._grid(name)
            for part in parts:
                if part in choices("experiment"):
                    whole = _joined(whole, self._grid(part))
        return whole

    def _grid(self, name: str) -> Experiment:
        """The grid of one file."""
        chosen = [f"+experiment={name}", f"scale={self.scale}"]
        sweep = compose("train", chosen, with_hydra=True).hydra.sweeper.params
        axes = self._axes([*(f"{key}={value}" for key, value in sweep.items()), *self.overrides])
        points = itertools.product(*axes.values())
        jobs = {point: self._config_at(dict(zip(axes, point, strict=True))) for point in points}
        command = f"python -m rpt.train -m {' '.join(chosen)}"
        rows = " data.dir=FOLDER" if self.scale == "laptop" else ""  # the one scale whose rows no command can find
        return Experiment(name, self.scale, axes, jobs, (command + rows,))

    def _axes(self, words: list[str]) -> Axes:
        """Every key and its values, as Hydra's sweeper splits `a=1,2 b=3,4`."""
        axes = {}
        for word in self._parser.parse_overrides(words):
            values = word.sweep_string_iterator() if word.is_sweep_override() else [word.get_value_element_as_str()]
            axes[word.get_key_element()] = tuple(dict.fromkeys(values))
        return axes

    def _config_at(self, point: dict[str, str]) -> Config:
        """The configuration of one run. Most runs of a grid differ in task and seed, on which nothing else depends: so
        they, and the rest, are made once each, and not once for every run."""
        own = tuple((key, value) for key, value in point.items() if key.partition(".")[0] in ("task", "seed"))
        rest = tuple(item for item in point.items() if item not in own)
        of_run = self._config_with(own)
        return dataclasses.replace(self._config_with(rest), task=of_run.task, seed=of_run.seed)

    def _config_with(self, given: tuple[tuple[str, str], ...]) -> Config:
        """An experiment holds nothing but its axes, and a group's choice fills its own node alone."""
        if given not in self._configs:
            config = OmegaConf.create(self._base)  # a copy
            for key, name in given:
                if key in GROUPS:
                    config[key] = compose_choice(key, name)
            for key, value in given:
                if key not in GROUPS:
                    OmegaConf.update(config, key, self._parsed(f"{key}={value}"))
            self._configs[given] = to_config(config)
        return self._configs[given]

    @cached_property
    def _base(self) -> DictConfig:
        return compose("train", [f"+scale={self.scale}"])

    def _parsed(self, word: str) -> Any:
        return self._parser.parse_override(word).value()


def _joined(whole: Experiment, part: Experiment) -> Experiment:
    """Both grids as one. Axes that the part has not stand at the whole's first value; further ones are left out, and
    so is the part's budget: it may have one of its own, which names no other row."""
    given = {key: values for key, values in part.axes.items() if not key.startswith("trainer.")}
    given["prompt"] = given.pop("method", given.get("prompt", ()))
    axes = {key: tuple(dict.fromkeys((*values, *given.get(key, ())))) for key, values in whole.axes.items()}
    jobs = dict(whole.jobs)
    for point, config in part.jobs.items():
        own = {key: value for key, value in zip(part.axes, point, strict=True) if key in given or key == "method"}
        at = {key: values[0] for key, values in axes.items()} | own
        at["prompt"] = at.get("method", at["prompt"])
        jobs.setdefault(tuple(at[key] for key in axes), config)
    if len(jobs) == len(whole.jobs):  # scale=laptop has encoders only, in the first grid already
        return whole
    return Experiment(whole.name, whole.scale, axes, jobs, (*whole.commands, *part.commands))
