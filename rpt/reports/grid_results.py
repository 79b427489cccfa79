"""An experiment's grid beside the run records that stand in it."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from rpt.config import Config, as_dict, settings
from rpt.config.grids import Experiment, Point
from rpt.errors import RecordError
from rpt.records.run_folder import read_result
from rpt.tasks import TASKS, get_task

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast where libyaml is there


@dataclass(frozen=True)
class RunRecord:
    """One finished run.

    config: the whole configuration. result: what result.json holds. history: the lines of metrics.jsonl.
    credits: what each reported example earned, 0 to 1 (Task.credits), in the order of the rows; None if not kept.
    """

    folder: Path
    config: dict[str, Any]
    result: dict[str, Any]
    history: list[dict[str, Any]]
    credits: list[float] | None


class RunRecords:
    """All finished records under `<results>/runs`.

    problems: one line for each record that is left out, and why.
    """

    def __init__(self, results: Path):
        self.problems: list[str] = []
        self._by_settings: dict[str, list[RunRecord]] = defaultdict(list)
        for path in sorted(Path(results).glob("runs/*/*/*/*/result.json")):
            where = path.parent.relative_to(results)
            try:
                result = read_result(path)
                if result["status"] == "failed":
                    self.problems.append(_line(f"failed run {where}: {result['error']}", results))
                    continue
                config = yaml.load((path.parent / "config.yaml").read_text("utf-8"), LOADER)
                key = _key(config, result["data"]["miniature"])
                lines = (path.parent / "metrics.jsonl").read_text("utf-8").splitlines()
                predictions = path.parent / "predictions.json"
                credits = json.loads(predictions.read_text("utf-8"))["credits"] if predictions.exists() else None
                entry = RunRecord(path.parent, config, result, [json.loads(line) for line in lines], credits)
                check_entry(entry)
            except (RecordError, OSError, ValueError, KeyError, TypeError, AttributeError, yaml.YAMLError) as error:
                self.problems.append(_line(f"left out {where}: {type(error).__name__}: {error}", results))
                continue
            self._by_settings[key].append(entry)

    def __iter__(self) -> Iterator[RunRecord]:
        return (entry for entries in self._by_settings.values() for entry in entries)

    def of(self, config: Config) -> RunRecord | None:
        """The record of a run; of several (other weights, other rows, another precision) the latest."""
        found = self._by_settings.get(_key(as_dict(config), config.data.name == "mini"), [])
        return max(found, key=lambda entry: entry.result["created"], default=None)


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


def check_entry(entry: RunRecord) -> None:
    """Refuse a record in which something that tables and figures stand on is missing or of the wrong type.

    Raises:
        ValueError: naming the field.
    """
    result, number = entry.result, int | float
    task = get_task(result["task"], entry.config["backbone"].get("family", "t5")) if result["task"] in TASKS else None
    headlines = {} if task is None else {"paper": set(task.paper_score), "superglue": set(task.superglue_score)}
    own = headlines.pop(result["protocol"], set())
    needed = {"score", *own, *(set(task.metrics if task else ()) - set().union(*headlines.values()))}
    fields = {f"scores.{metric}": (result["scores"].get(metric), number) for metric in sorted(needed)}
    fields |= {f"majority.{metric}": (value, number) for metric, value in result["majority"].items()}
    fields |= {f"parameters.{kind}": (result["parameters"].get(kind), int) for kind in ("trained", "kept")}
    fields |= {f"data.{key}": (result["data"].get(key), of) for key, of in (("miniature", bool), ("fingerprint", str))}
    fields |= {key: (result.get(key), str) for key in ("created", "backbone_fingerprint")}
    for line, written in enumerate(entry.history, start=1):
        for metric, of in (("epoch", number), ("score", number), ("loss", number | None)):
            fields[f"metrics.jsonl line {line}, {metric}"] = (written.get(metric), of)
    if entry.credits is not None:
        fields["credits"] = (entry.credits, list)
        fields |= {f"credits[{i}]": (value, number) for i, value in enumerate(entry.credits)}
    for name, (value, kind) in fields.items():
        wrong_bool = isinstance(value, bool) and kind is not bool  # a bool is an int to Python
        if not isinstance(value, kind) or wrong_bool or (isinstance(value, float) and not math.isfinite(value)):
            wanted = {number: "a number", number | None: "a number"}.get(kind) or kind.__name__
            raise ValueError(f"field {name} should be {wanted}, is {value!r:.80}")


def _line(message: str, results: Path) -> str:
    """One line, the same wherever the folder of results lies."""
    return " ".join(message.replace(f"{results}/", "").split())


def _key(config: dict[str, Any], miniature: bool) -> str:
    return json.dumps([settings(config), miniature], sort_keys=True)
