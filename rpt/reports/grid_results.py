"""An experiment's grid beside the run records that stand in it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from rpt.config.grids import Experiment, Point
from rpt.records.run_records import RunRecords
from rpt.records.schema import RunRecord


@dataclass(frozen=True)
class GridResults:
    """An experiment and those of its runs that are recorded, by their points."""

    experiment: Experiment
    entries: dict[Point, RunRecord]

    @classmethod
    def of(cls, experiment: Experiment, records: RunRecords) -> GridResults:
        found = {point: records.of(config) for point, config in experiment.jobs.items()}
        return cls(experiment, {point: entry for point, entry in found.items() if entry is not None})

    def at(self, values: dict[str, str]) -> dict[str, RunRecord]:
        """The recorded runs of one cell by seed, e.g. at({"task": "cb", "prompt": "residual", "prompt.length": "10"}).

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
        cell = {}
        for point, entry in self.entries.items():
            named = dict(zip(axes, point, strict=True))
            if all(named[key] == value for key, value in values.items()):
                cell[named["seed"]] = entry
        return cell

    def mixtures(self) -> list[str]:
        """One line for each task and backbone whose records stand on different rows, weights or precision."""
        found = defaultdict(set)
        for entry in self.entries.values():
            result = entry.result
            family = entry.config["backbone"].get("family", "t5")  # an encoder is given other rows of WSC
            data = entry.config["data"]
            few = f", {data['shots']} of a class" if data.get("shots") else ""
            found[f"rows of {result['task']} for {family}{few}"].add(result["data"]["fingerprint"])
            found[f"weights of {result['backbone']}"].add(result["backbone_fingerprint"])
            found[f"precision of {result['backbone']}"].add(result["precision"])
        return [
            f"{self.experiment.name}: records differ in the {what} ({', '.join(sorted(prints))}); repeat the older runs"
            for what, prints in found.items()
            if len(prints) > 1
        ]
