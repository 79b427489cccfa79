"""An experiment's grid beside the runs that are recorded of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import pandas as pd

from rpt.config.grids import Experiment
from rpt.records.schema import identity_of


@dataclass(frozen=True)
class RateChoice:
    """Which of its learning rates a row and task of a grid shows (rpt.reports.rates).

    at: the row's axes and the task. asked: the grid's rates there. recorded: those that have a run. rate: the chosen
    one, of equals the lowest; None where the recorded rates share no seed. held_out: the mean held-out score of each
    recorded rate, over so many seeds as `seeds`.
    """

    at: dict[str, str]
    asked: tuple[str, ...]
    recorded: tuple[str, ...]
    rate: str | None
    held_out: dict[str, float]
    seeds: int

    @property
    def at_edge(self) -> bool:
        """Whether it is the lowest or the highest of its grid: a better one may lie beyond."""
        ends = {min(self.asked, key=float), max(self.asked, key=float)}
        return len(ends) > 1 and self.rate in ends


@dataclass(frozen=True)
class GridResults:
    """An experiment and those of its runs that are recorded.

    runs: columns as load_runs has them; the index has a level for each axis of the grid, its values as they are written
        in the experiment. Only the points that are recorded are there.
    rates: one choice for each row and task, where rates were chosen.
    """

    experiment: Experiment
    runs: pd.DataFrame
    rates: tuple[RateChoice, ...] = ()

    @classmethod
    def of(cls, experiment: Experiment, runs: pd.DataFrame) -> GridResults:
        """Join the grid with runs; of several runs of one point (other weights, rows or precision) the latest."""
        if runs.empty:
            return cls(experiment, runs)
        latest = runs.sort_values("created", kind="stable").drop_duplicates("identity", keep="last")
        latest = latest.set_index("identity")
        identities = {point: identity_of(config) for point, config in experiment.jobs.items()}
        found = [point for point, identity in identities.items() if identity in latest.index]
        there = latest.loc[[identities[point] for point in found]]
        there.index = pd.MultiIndex.from_tuples(found, names=list(experiment.axes)) if found else there.index
        return cls(experiment, there)

    def of_tasks(self, tasks: tuple[str, ...]) -> GridResults:
        """The part of the grid, and of its runs, that is about these tasks."""
        axes = self.experiment.axes
        place = list(axes).index("task")
        jobs = {point: config for point, config in self.experiment.jobs.items() if point[place] in tasks}
        runs = self.runs if self.runs.empty else self.runs[self.runs.index.get_level_values("task").isin(tasks)]
        return replace(self, experiment=replace(self.experiment, axes=axes | {"task": tasks}, jobs=jobs), runs=runs)

    def at(self, values: dict[str, str]) -> pd.DataFrame:
        """The recorded runs of one cell, indexed by seed: at({"task": "cb", "prompt": "residual", ...}).

        Raises:
            KeyError: a key or value is not in the grid, or an axis of several values but the seed is left open.
        """
        axes = self.experiment.axes
        for key, value in values.items():
            if value not in axes[key]:
                raise KeyError(f"{self.experiment.name} has no {key}={value}, only {', '.join(axes[key])}")
        missing = [key for key, of in axes.items() if key not in values and key != "seed" and len(of) > 1]
        if missing:
            raise KeyError(f"{self.experiment.name}: give {', '.join(missing)}")
        return pick_cell(self.runs, values)

    def count_asked(self, values: dict[str, str]) -> int:
        """How many runs the grid has at these values of its axes, recorded or not."""
        axes = list(self.experiment.axes)
        wanted = [(axes.index(key), value) for key, value in values.items()]
        return sum(all(point[place] == value for place, value in wanted) for point in self.experiment.jobs)

    def points(self, axes: tuple[str, ...]) -> list[dict[str, str]]:
        """Every combination of the axes' values that the grid has, recorded or not, the first axis slowest."""
        places = [list(self.experiment.axes).index(key) for key in axes]
        there = {tuple(point[place] for place in places) for point in self.experiment.jobs}
        orders = [self.experiment.axes[key].index for key in axes]
        ordered = sorted(there, key=lambda values: [order(value) for order, value in zip(orders, values, strict=True)])
        return [dict(zip(axes, values, strict=True)) for values in ordered]

    def row_axes(self, wanted: tuple[str, ...], columns: str = "task") -> tuple[str, ...]:
        """The axes that name a row: the wanted ones in this grid, and whichever else has several values."""
        axes = self.experiment.axes
        further = [key for key, of in axes.items() if len(of) > 1 and key not in (*wanted, columns, "task", "seed")]
        return (*(key for key in wanted if key in axes), *further)

    def mixtures(self) -> Iterator[str]:
        """A line for each task and backbone whose records stand on different rows, weights or precision."""
        if self.runs.empty:
            return
        runs = self.runs.reset_index(drop=True)
        # An encoder is given other rows of WSC, and fewer shots are other rows on purpose.
        unsaid = {"backbone.family": "t5", "backbone.stream_scale": 1.0, "backbone.pooling": "cls"}
        families, scales, poolings = (runs.reindex(columns=[key])[key].fillna(unsaid[key]) for key in unsaid)
        scaled = [f" with words times {scale:g}" if scale != 1 else "" for scale in scales]
        pooled = [f" pooled by {pooling}" if pooling != "cls" else "" for pooling in poolings]
        shots = [f", {few:g} of a class" if pd.notna(few) else "" for few in runs["data.shots"]]
        kinds = {
            "data.fingerprint": "rows of " + runs["task"] + " for " + families + shots,
            "backbone_fingerprint": "weights of " + runs["backbone"] + scaled + pooled,
            "precision": "precision of " + runs["backbone"] + " on " + runs["task"],
        }
        for column, what in kinds.items():
            for name, there in runs[column].groupby(what):
                if there.nunique() > 1:
                    prints = ", ".join(sorted(set(there)))
                    yield f"{self.experiment.name}: records differ in the {name} ({prints}); repeat the older runs"


def pick_cell(frame: pd.DataFrame, values: dict[str, str]) -> pd.DataFrame:
    """The lines at these values of the axes, indexed by seed; none where nothing is recorded.

    Args:
        frame: the index has a level for each axis, "seed" among them.
    """
    if frame.empty:
        return frame
    there = pd.Series(True, index=frame.index)
    for key, value in values.items():
        there &= frame.index.get_level_values(key) == value
    found = frame[there]
    return found.set_axis(found.index.get_level_values("seed"), axis=0)
