"""The grids of runs behind tables and figures. Their files are configs/experiment/ and configs/scale/.

`python -m rpt.train -m +experiment=figure4 scale=mini` trains a grid; this module lists its configurations without
training, to count its runs or to find their records.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import OverrideType

from rpt.config.choices import cached, choices, read_choice
from rpt.config.identity import as_dict, settings
from rpt.config.layers import look_up, read_layers
from rpt.config.mistakes import explained_mistakes
from rpt.config.schema import GROUPS, PROMPT_TUNING, Config, Values, merge
from rpt.errors import UsageError

SCALES = ("paper", "laptop", "mini")

Axes = dict[str, tuple[str, ...]]
Point = tuple[str, ...]


@dataclass(frozen=True)
class Experiment:
    """A grid of runs.

    axes: the keys of the grid and their values as they are written, e.g. {"prompt": ("vanilla", "residual"), ...}; a
        key with one value is an axis too, and so is "seed". Methods other than prompt tuning are values of "prompt".
    jobs: the configuration at each point; a point has a value for each axis, in their order.
    commands: the commands that train it.
    """

    name: str
    scale: str
    axes: Axes
    jobs: dict[Point, Config]
    commands: tuple[str, ...]


def names() -> list[str]:
    """Every experiment, in configs/ and in the user's folders: tables first, then by name; without their parts."""
    files = _files()
    wholes = [name for name in files if not any(_is_part(name, other) for other in files)]
    return sorted(wholes, key=lambda name: (not name.startswith("table"), name))


def _files() -> list[str]:
    """The experiments that are grids, and not searches."""
    experiments = choices("experiment")
    return [name for name in experiments if "hydra/sweeper" not in str(read_choice("experiment", name).get("defaults"))]


def _is_part(name: str, whole: str) -> bool:
    """Whether an experiment is part of another, and only has a file because its axes or budget differ: table1_methods
    is part of table1."""
    return name.startswith(f"{whole}_")


class Grids:
    """The experiments at one scale.

    Args:
        scale: one of SCALES.
        overrides: as on the command line, e.g. "task=cb,wic": they replace or add axes.

    Raises:
        UsageError: there is no such scale.
    """

    def __init__(self, scale: str = "paper", overrides: Iterable[str] = ()):
        if scale not in SCALES:
            raise UsageError(f"There is no scale {scale}; choose one of: {', '.join(SCALES)}.")
        self.scale, self.overrides = scale, tuple(overrides)

    def lay_out(self, name: str) -> Experiment:
        """The grid that `-m +experiment=<name> scale=<scale> <overrides>` would run, joined with the grids of its
        parts, such as table1_methods. An override of the prompt omits parts without prompts.

        Args:
            name: one of `names()`.

        Raises:
            UsageError: there is no such experiment, or an override names an unknown key or choice.
        """
        if wholes := [whole for whole in names() if _is_part(name, whole) and name in _files()]:
            raise UsageError(f"{name} is a part of {wholes[0]}; give that.")
        if name not in names():
            raise UsageError(f"There is no experiment {name}; choose one of: {', '.join(names())}.")
        asks_for_prompts = any(override.startswith("prompt") for override in self.overrides)
        with explained_mistakes():
            whole = self._grid(name)
            for part in (self._grid(other) for other in _files() if _is_part(other, name)):
                if not (asks_for_prompts and "method" in part.axes):
                    whole = _joined(whole, part)
        return whole

    def _grid(self, name: str) -> Experiment:
        """The grid of one file."""
        layers = read_layers(name, self.scale)
        axes = axes_of((*(f"{key}={value}" for key, value in layers.sweep.items()), *self.overrides))
        jobs = {}
        for point in itertools.product(*axes.values()):
            values = {key: _value(key, text) for key, text in zip(axes, point, strict=True)}
            jobs[point] = layers.config_at(values)
        command = f"python -m rpt.train -m +experiment={name} scale={self.scale}"
        if self.scale == "laptop" and "data.dir" not in axes:  # the only scale whose rows no command can find
            command += " data.dir=FOLDER"
        return Experiment(name, self.scale, axes, jobs, (command,))


def is_in_a_grid(run: Values) -> bool:
    """Whether a run belongs to an experiment at any scale. This does not compose whole grids.

    Args:
        run: its settings, from `rpt.config.settings`.
    """
    whole = merge(as_dict(Config()), run)  # settings omit newer keys at their defaults
    at = {key: run[key]["name"] for key in ("backbone", "task", "prompt")}
    at["method"] = run["method"]["name"] if "method" in run else PROMPT_TUNING
    for scale, name in itertools.product(SCALES, _files()):
        layers = read_layers(name, scale)
        point = {}
        for key, texts in axes_of(tuple(f"{key}={value}" for key, value in layers.sweep.items())).items():
            value = at[key] if key in at else look_up(whole, key)
            if value not in [_value(key, text) for text in texts]:
                break
            point[key] = value
        else:
            if settings(as_dict(layers.config_at(point))) == run:
                return True
    return False


@cached
def axes_of(overrides: tuple[str, ...]) -> Axes:
    """The keys and their values, as Hydra's sweeper splits `a=1,2 b=3,4`."""
    axes = {}
    for override in OverridesParser.create(_Options()).parse_overrides(list(overrides)):  # type: ignore[arg-type]
        if override.type == OverrideType.DEL:
            raise UsageError(f"{override.input_line} removes a key, which no grid can do; leave it out.")
        sweeps = override.is_sweep_override()
        values = override.sweep_string_iterator() if sweeps else [override.get_value_element_as_str()]
        axes[override.key_or_group] = tuple(dict.fromkeys(values))
    return axes


class _Options:
    """Tells Hydra the choices that `task=glob(c*)` matches."""

    def get_group_options(self, group_name: str, results_filter: object = None) -> list[str]:
        return choices(group_name)


@cache
def _value(key: str, text: str) -> object:
    """The value of a text in Hydra's grammar; for a group, the name of its choice."""
    return text if key in GROUPS else OverridesParser.create().parse_override(f"{key}={text}").value()


def _joined(whole: Experiment, part: Experiment) -> Experiment:
    """Both grids as one. An axis that only the whole has gets its first value in the part; one that only the part has
    is dropped."""
    further = dict(part.axes)
    further["prompt"] = further.pop("method", further.get("prompt", ()))
    axes = {key: tuple(dict.fromkeys((*values, *further.get(key, ())))) for key, values in whole.axes.items()}
    jobs = dict(whole.jobs)
    for point, config in part.jobs.items():
        at = {key: values[0] for key, values in axes.items()} | dict(zip(part.axes, point, strict=True))
        at["prompt"] = at.get("method", at["prompt"])
        jobs.setdefault(tuple(at[key] for key in axes), config)
    if len(jobs) == len(whole.jobs):  # scale=laptop has encoders only, in the first grid already
        return whole
    return Experiment(whole.name, whole.scale, axes, jobs, (*whole.commands, *part.commands))
