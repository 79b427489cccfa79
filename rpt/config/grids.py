"""Experiments: the grids of runs behind the paper's tables and figures (configs/experiment/, configs/scale/).

`python -m rpt.train -m +experiment=figure4 scale=mini` trains one; here the same grid is laid out without training,
for those who count its runs or look for their records.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field

from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf, open_dict

from rpt.config.compose import choices, compose, compose_choice, kept, to_config
from rpt.config.mistakes import explained_mistakes
from rpt.config.schema import GROUPS, Config
from rpt.errors import UsageError

SCALES = ("paper", "laptop", "mini")

Axes = dict[str, tuple[str, ...]]
Point = tuple[str, ...]
Choices = tuple[tuple[str, str], ...]


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


@dataclass(frozen=True)
class _Base:
    """What the runs of a file have in common; most files have the same, as their texts tell."""

    config: DictConfig = field(compare=False)
    text: str


def names() -> list[str]:
    """Every experiment there is, in configs/ and in folders of one's own: tables first, then by name. Its parts are
    not among them."""
    there = choices("experiment")
    found = [name for name in there if not any(_is_part(name, other) for other in there)]
    return sorted(found, key=lambda name: (not name.startswith("table"), name))


def _is_part(name: str, of: str) -> bool:
    """Whether an experiment belongs to another and is a grid of its own, for its axes or its budget are:
    table1_methods to table1."""
    return name.startswith(f"{of}_")


class Grids:
    """The experiments at one scale.

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

    def lay_out(self, name: str) -> Experiment:
        """The grid of an experiment, as `-m +experiment=<name> scale=<scale> <overrides>` would run it, together with
        those of its parts, as table1_methods. An override of the prompt leaves out those that have none.

        Args:
            name: one of `names()`.

        Raises:
            UsageError: there is no such experiment, or an override names no key or choice.
        """
        if name not in names():
            raise UsageError(f"There is no experiment {name}; choose one of: {', '.join(names())}.")
        own_prompts = any(word.startswith("prompt") for word in self.overrides)
        with explained_mistakes():
            whole = self._grid(name)
            for part in (self._grid(other) for other in choices("experiment") if _is_part(other, name)):
                if not (own_prompts and "method" in part.axes):
                    whole = _joined(whole, part)
        return whole

    def _grid(self, name: str) -> Experiment:
        """The grid of one file."""
        chosen = (f"+experiment={name}", f"scale={self.scale}")
        sweep, base = _compose(*chosen)
        axes = _axes_of([*sweep, *self.overrides])
        bases = {choice: _compose(*chosen, f"trainer={choice}")[1] for choice in axes.get("trainer", ())}
        jobs = {}
        for point in itertools.product(*axes.values()):
            given = dict(zip(axes, point, strict=True))
            jobs[point] = _config_at(bases[given.pop("trainer")] if bases else base, given)
        command = f"python -m rpt.train -m {' '.join(chosen)}"
        if self.scale == "laptop" and "data.dir" not in axes:  # the one scale whose rows no command can find
            command += " data.dir=FOLDER"
        return Experiment(name, self.scale, axes, jobs, (command,))


@kept
def _compose(*words: str) -> tuple[list[str], _Base]:
    """What an experiment sweeps over, as words, and the rest."""
    config = compose("train", words, with_hydra=True)
    sweep = [f"{key}={value}" for key, value in config.hydra.sweeper.params.items()]
    with open_dict(config):
        del config["hydra"]
    return sweep, _Base(config, OmegaConf.to_yaml(config))


def _axes_of(words: list[str]) -> Axes:
    """Every key and its values, as Hydra's sweeper splits `a=1,2 b=3,4`."""
    axes = {}
    for word in OverridesParser.create().parse_overrides(words):
        values = word.sweep_string_iterator() if word.is_sweep_override() else [word.get_value_element_as_str()]
        axes[word.get_key_element()] = tuple(dict.fromkeys(values))
    return axes


def _config_at(base: _Base, point: dict[str, str]) -> Config:
    """The configuration of one run. A task decides budgets and how an encoder is read (`by_task`), a seed nothing:
    so what depends on the task, and the rest, are made once each, and not once for every run."""
    of = {item: item[0].partition(".")[0] for item in point.items()}
    by_task = _config_with(base, tuple(item for item in of if of[item] in ("task", "backbone")))
    common = _config_with(base, tuple(item for item in of if of[item] not in ("task", "seed")))
    given = [key.removeprefix("trainer.") for key in point if key.startswith("trainer.")]
    trainer = dataclasses.replace(by_task.trainer, **{key: getattr(common.trainer, key) for key in given})
    seed = int(point.get("seed", base.config.seed))
    return dataclasses.replace(common, task=by_task.task, backbone=by_task.backbone, trainer=trainer, seed=seed)


@kept
def _config_with(base: _Base, given: Choices) -> Config:
    """An experiment holds its axes and a budget, and a group's choice fills its own node alone."""
    config = OmegaConf.create(base.config)  # a copy
    for key, name in given:
        if key in GROUPS:
            config[key] = compose_choice(key, name)
    for key, value in given:
        if key not in GROUPS:
            OmegaConf.update(config, key, OverridesParser.create().parse_override(f"{key}={value}").value())
    return to_config(config)


def _joined(whole: Experiment, part: Experiment) -> Experiment:
    """Both grids as one. Axes that the part has not stand at the whole's first value; further ones are left out."""
    given = dict(part.axes)
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
