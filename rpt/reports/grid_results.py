"""A grid beside its recorded runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import pandas as pd

from rpt.config import Config
from rpt.config.grids import Experiment
from rpt.records.schema import identity_of

At = dict[str, str]  # values of axes


@dataclass(frozen=True)
class GridResults:
    """An experiment and its recorded runs.

    runs: as load_runs gives them, indexed by the grid's axes with their values as the experiment writes them.
    rates: a line for each rate of each row and task, if rates were chosen (rpt.reports.rates).
    """

    experiment: Experiment
    runs: pd.DataFrame
    rates: pd.DataFrame | None = None

    @classmethod
    def join(cls, experiment: Experiment, runs: pd.DataFrame) -> GridResults:
        """Join the grid with runs; if a point has several (other weights, rows or precision), take the latest. T5
        backbones come first on their axis, whatever the order of the files."""
        families = {config.backbone.name: config.backbone.family for config in experiment.jobs.values()}
        backbones = sorted(experiment.axes["backbone"], key=lambda name: families.get(name) == "bert")
        experiment = replace(experiment, axes=experiment.axes | {"backbone": tuple(backbones)})
        runs = pd.DataFrame(columns=["created", "identity"]) if runs.empty else runs
        latest = runs.sort_values("created", kind="stable").drop_duplicates("identity", keep="last")
        latest = latest.set_index("identity")
        identities = {point: identity_of(config) for point, config in experiment.jobs.items()}
        recorded = {point: identity for point, identity in identities.items() if identity in latest.index}
        index = pd.MultiIndex.from_tuples(list(recorded), names=list(experiment.axes))
        return cls(experiment, latest.loc[[*recorded.values()]].set_axis(index))

    @property
    def scale(self) -> str:
        return self.experiment.scale

    @property
    def tasks(self) -> tuple[str, ...]:
        return self.experiment.axes["task"]

    @property
    def configs(self) -> list[Config]:
        """Of every run, recorded or not."""
        return [*self.experiment.jobs.values()]

    @property
    def backbones(self) -> list[str]:
        """Backbones with a run, in the order of the axis."""
        recorded = self.runs.index.unique("backbone")
        return [name for name in self.experiment.axes["backbone"] if name in recorded]

    def family_of(self, backbone: str) -> str:
        return next(config.backbone.family for config in self.configs if config.backbone.name == backbone)

    def of_tasks(self, tasks: tuple[str, ...]) -> GridResults:
        """The part of the grid and its runs with these tasks."""
        axes = self.experiment.axes
        place = list(axes).index("task")
        jobs = {point: config for point, config in self.experiment.jobs.items() if point[place] in tasks}
        experiment = replace(self.experiment, axes=axes | {"task": tasks}, jobs=jobs)
        return replace(self, experiment=experiment, runs=self.runs[self.runs.index.isin(tasks, level="task")])

    def at(self, values: At) -> pd.DataFrame:
        """The recorded runs of one cell, indexed by seed: at({"task": "cb", "prompt": "residual", ...}).

        Raises:
            KeyError: as `check_cell`.
        """
        self.check_cell(values)
        return pick_cell(self.runs, values)

    def check_cell(self, values: At) -> None:
        """Refuse what is no cell of the grid.

        Raises:
            KeyError: a key or value is not in the grid, or an axis of several values but the seed is left open.
        """
        axes = self.experiment.axes
        for key, value in values.items():
            if value not in axes[key]:
                raise KeyError(f"{self.experiment.name} has no {key}={value}, only {', '.join(axes[key])}")
        missing = [key for key, every in axes.items() if key not in (*values, "seed") and len(every) > 1]
        if missing:
            raise KeyError(f"{self.experiment.name}: give {', '.join(missing)}")

    @cached_property
    def grid(self) -> pd.DataFrame:
        """Every point, recorded or not: a column for each axis."""
        return pd.DataFrame(list(self.experiment.jobs), columns=list(self.experiment.axes))

    def count_seeds(self) -> pd.DataFrame:
        """How many seeds the grid has, recorded or not: a column for each task, and "average" for the fewest.

        The index has a level for each axis but the task and the seed.
        """
        counts = self.grid.groupby([key for key in self.grid if key != "seed"]).size()
        wide = counts.unstack("task", fill_value=0).reindex(columns=list(self.tasks), fill_value=0)
        return wide.assign(average=wide.min(axis=1))

    def points(self, axes: Sequence[str]) -> list[At]:
        """Every combination of the axes' values that the grid has, recorded or not, the first axis slowest."""
        points = self.grid[list(axes)].drop_duplicates()
        places = {key: values.index for key, values in self.experiment.axes.items()}
        return points.sort_values(list(axes), key=lambda values: values.map(places[values.name])).to_dict("records")

    def row_axes(self, wanted: tuple[str, ...], columns: str = "task") -> tuple[str, ...]:
        """The axes that name a row: those wanted that this grid has, and all others with several values."""
        axes = self.experiment.axes
        named = {*wanted, columns, "task", "seed"}
        return (
            *(key for key in wanted if key in axes),
            *(key for key, every in axes.items() if len(every) > 1 and key not in named),
        )

    def mixtures(self) -> Iterator[str]:
        """Name each task and backbone whose records differ in rows, weights or precision, in a line."""
        # Encoders read other rows of WSC, and few-shot runs have other rows on purpose.
        kinds = {
            "data.fingerprint": ("rows", ["task", "backbone.family", "data.shots"]),
            "backbone_fingerprint": ("weights", ["backbone", "backbone.stream_scale", "backbone.pooling"]),
            "precision": ("precision", ["backbone", "task"]),
        }
        unsaid = {"backbone.family": "t5", "backbone.stream_scale": "1.0", "backbone.pooling": "cls"}
        for column, (what, keys) in kinds.items():
            runs = self.runs.reset_index(drop=True).reindex(columns=[*keys, column]).fillna(unsaid)
            for at, prints in runs.groupby(keys, dropna=False)[column]:
                if prints.nunique() > 1:
                    name = " ".join(f"{value}" for value in at if pd.notna(value))
                    listed = ", ".join(sorted(set(prints)))
                    yield f"{self.experiment.name}: records differ in the {what} of {name} ({listed}); repeat the older"


def pick_cell(frame: pd.DataFrame, values: At) -> pd.DataFrame:
    """The lines at these values of the axes, indexed by seed.

    Args:
        frame: the index has a level for each axis, "seed" among them.
    """
    matches = pd.Series(True, index=frame.index)
    for key, value in values.items():
        matches &= frame.index.get_level_values(key) == value
    return frame[matches].droplevel([name for name in frame.index.names if name != "seed"])
