"""What an experiment would cost, before it is run.

    python -m rpt.plan [EXPERIMENT ...] [scale=mini] [task=cb,wic] [hydra/launcher=packed] [other overrides]

Prints how many runs each of the paper's tables and figures still needs, and an estimate of their time and memory on
this machine, one run after another or in packs (with as many processes as would train them). The estimate stands on the
records made on this machine and, for a kind of run without one, on a few measured steps. Without a name all experiments
are planned; a run that several of them share is counted in each, and once in the total.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import math
import shlex
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException
from tqdm import tqdm

from rpt.backbones import FAMILIES
from rpt.backbones.machine import forget_peak_memory, name_device, read_peak_memory
from rpt.config import PROMPT_TUNING, Config, TrackingConfig, backbone_source, check, precision_of, settings
from rpt.config import grids as experiments
from rpt.data.splits import TaskData
from rpt.errors import UsageError
from rpt.hub import offline_unless_reachable
from rpt.reports.grid_results import RunRecords
from rpt.tasks import get_task
from rpt.train import configuration_mistake
from rpt.training.evaluate import evaluate
from rpt.training.loader import Loader
from rpt.training.memory import choose_max_tokens
from rpt.training.pack import Pack
from rpt.training.prepare import prepare_run
from rpt.training.progress import plan_steps
from rpt.training.workers import count_processes, share_threads

WARM_UP, MEASURED = 3, 12  # steps of one run; a pack takes as many rows in fewer steps
EVALUATED = 128  # rows
DEFAULT_RESULTS = Path("results")
GIB = 2**30


@dataclass(frozen=True)
class Rates:
    """What runs of one kind take on this machine.

    training, evaluation: rows per second. start: seconds beside them. memory: peak bytes.
    """

    training: float
    evaluation: float
    start: float
    memory: int


def kind(config: dict[str, Any], precision: str) -> str:
    """Runs of equal kind take about equally long for a row; from a configuration as a record holds it.

    Of the prompt only its length counts: the network behind it runs once a step, whatever the number of rows.
    """
    speed = ("batch_size", "dropout", "pad_to_max", "decode")
    trainer = {key: config["trainer"][key] for key in speed}
    names = [config[group]["name"] for group in ("task", "data", "protocol", "backbone")]
    names += [config.get("method", {}).get("name", PROMPT_TUNING)]
    return json.dumps([*names, config["prompt"]["length"], trainer, precision], sort_keys=True)


def _kind(config: Config) -> str:
    return kind(dataclasses.asdict(config), precision_of(config))


def measure(config: Config, together: int, loader: Loader) -> Rates:
    """Rates from a few steps and a part of the evaluation; nothing is recorded.

    Args:
        together: runs of a pack; the rates are one run's share.

    Raises:
        UsageError: rows or backbone cannot be had.
    """
    forget_peak_memory()
    with tempfile.TemporaryDirectory() as folder:
        config = dataclasses.replace(config, results=folder, tracking=TrackingConfig(name="none"))
        sessions = [prepare_run(dataclasses.replace(config, seed=seed), loader) for seed in range(together)]
        began = time.perf_counter()
        runs = [session.start() for session in sessions]
        backbone = sessions[0].backbone
        start = (time.perf_counter() - began) / together
        pack = Pack(backbone, together, choose_max_tokens(config, backbone))
        pack.join(runs)
        run = runs[0]
        warm_up, measured = (max(1, steps // together) for steps in (WARM_UP, MEASURED))
        for _ in range(min(warm_up, run.total_steps - 1)):
            pack.step()
        began, before = time.perf_counter(), run.progress.trained_rows
        for _ in range(min(measured, run.total_steps - run.progress.step)):
            pack.step()
        run.read_losses()  # waits for the device
        training = together * (run.progress.trained_rows - before) / (time.perf_counter() - began)
        # Short and long rows alike.
        spread = np.unique(np.linspace(0, len(run.report.examples) - 1, EVALUATED).astype(int))
        evaluated = evaluate(backbone, run.fold_prompt(), run.copy_head(), run.report.pick(spread), config)
    return Rates(training, evaluated.rows_per_second, start, read_peak_memory())


def remembered(results: list[dict[str, Any]]) -> Rates:
    """Rates from the records of one kind of run."""

    def start(result: dict[str, Any]) -> float:
        rates = result["rows_per_second"]
        evaluating = result["evaluations"] * result["data"]["select"] / rates["evaluate"]
        return max(0.0, result["seconds"] - result["trained_rows"] / rates["train"] - evaluating)

    return Rates(
        float(np.mean([result["rows_per_second"]["train"] for result in results])),
        float(np.mean([result["rows_per_second"]["evaluate"] for result in results])),
        float(np.mean([start(result) for result in results])),
        max(result["peak_memory_bytes"] for result in results),
    )


def duration(config: Config, rates: Rates, data: TaskData) -> float:
    """Seconds of a run from its start to its record, if nothing stops it early."""
    family = config.backbone.family
    n_rows = FAMILIES[family].count(data.train, get_task(config.task.name, family), config.protocol.name)
    per_epoch, steps = plan_steps(config.trainer, n_rows)
    evaluations = math.ceil(steps / (per_epoch * config.trainer.eval_every))
    evaluated = evaluations * len(data.select)
    evaluated += 0 if data.select is data.report else len(data.report)  # what chose the best prompt is asked no more
    return rates.start + steps / per_epoch * n_rows / rates.training + evaluated / rates.evaluation


class Planner:
    """Estimates runs; every kind of run is measured once, every task's rows are read once.

    Args:
        together: runs of a pack; 1 is one after another.
    """

    def __init__(self, records: RunRecords, together: int):
        self._together = together
        self._results = defaultdict(list)
        for entry in records:
            result = entry.result
            packed = result.get("trained_together", 1) > 1  # such a run's rates are its share of the pack's
            if packed == (together > 1) and result["device"] == name_device() and result["rows_per_second"]["train"]:
                self._results[kind(entry.config, result["precision"])].append(result)
        self._rates: dict[str, Rates] = {}
        self._data: dict[str, TaskData] = {}
        self._loader = Loader()

    def unknown(self, configs: list[Config]) -> int:
        """How many kinds of run among them will have to be measured."""
        return len({_kind(config) for config in configs} - self._results.keys())

    def estimate(self, config: Config) -> tuple[float, int]:
        """Seconds and peak bytes of a run.

        Raises:
            UsageError: rows or backbone cannot be had.
        """
        which = _kind(config)
        if which not in self._rates:
            known = self._results.get(which)
            together = self._together if config.tunes_prompt else 1
            self._rates[which] = remembered(known) if known else measure(config, together, self._loader)
        rows = json.dumps([dataclasses.asdict(part) for part in (config.task, config.data, config.protocol)])
        if rows not in self._data:
            self._data[rows] = self._loader.rows(config)
        return duration(config, self._rates[which], self._data[rows]), self._rates[which].memory


def plan(names: list[str], scale: str, overrides: list[str], results: Path, packed: bool = False) -> str:
    """The table that the command prints.

    Raises:
        UsageError: there is no such experiment, scale or key, or a run of it could not start here.
    """
    records = RunRecords(results)
    grids = [experiments.lay_out(name, scale, tuple(overrides)) for name in names]
    missing = {
        grid.name: {_identity(config): config for config in grid.jobs.values() if not _recorded(records, config)}
        for grid in grids
    }
    needed = {key: config for of_grid in missing.values() for key, config in of_grid.items()}
    for config in needed.values():
        check(config)
    if any("hub" in (config.data.name, backbone_source(config.backbone)) for config in needed.values()):
        offline_unless_reachable()
    together, at_once, threads = 1, 1, torch.get_num_threads()
    if packed and needed:
        together = max(config.pack.max_runs for config in needed.values())
        at_once = count_processes(next(iter(needed.values())).pack.processes, len(needed))
        torch.set_num_threads(share_threads(at_once))  # measured as each of the processes will train
    planner, costs = Planner(records, together), {}
    kinds = planner.unknown(list(needed.values()))
    try:
        for key, config in tqdm(needed.items(), desc=f"{kinds} kinds of run to measure", unit="run", disable=None):
            costs[key] = planner.estimate(config)
    finally:
        torch.set_num_threads(threads)

    lines = [f"{'experiment':<12}{'runs':>6}{'recorded':>10}{'to run':>8}{'time':>12}{'memory':>11}"]
    rows = [(grid.name, len(grid.jobs), list(missing[grid.name])) for grid in grids]
    if len(grids) > 1:
        every = {_identity(config) for grid in grids for config in grid.jobs.values()}
        rows.append(("in total", len(every), list(needed)))
    for name, n_runs, keys in rows:
        time_ = _clock(sum(costs[key][0] for key in keys) / at_once)
        memory = f"{at_once * max(costs[key][1] for key in keys) / GIB:.1f} GiB" if keys else ""
        lines.append(f"{name:<12}{n_runs:>6}{n_runs - len(keys):>10}{len(keys):>8}{time_:>12}{memory:>11}")
    words = ["hydra/launcher=packed"] * packed + overrides
    if results != DEFAULT_RESULTS:
        words.append(f"results={results}")
    todo = [command for grid in grids if missing[grid.name] for command in grid.commands]
    commands = ["  " + " ".join([command, *map(shlex.quote, words)]) for command in todo]
    return "\n".join([*lines, *(["", "to run them:", *commands] if commands else [])])


def _recorded(records: RunRecords, config: Config) -> bool:
    """In this machine's precision: a run in another is another run."""
    entry = records.of(config)
    return entry is not None and entry.result["precision"] == precision_of(config)


def _identity(config: Config) -> str:
    return json.dumps(settings(dataclasses.asdict(config)), sort_keys=True)


def _clock(seconds: float) -> str:
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min" if seconds >= 90 else f"{seconds:.0f} s"


def main() -> None:
    """The command line."""
    logging.getLogger("rpt").setLevel(logging.WARNING)
    words = sys.argv[1:]
    if {"-h", "--help"} & set(words):
        print(f"{__doc__.strip()}\n\nExperiments: {', '.join(experiments.names())}")
        return
    names = [word for word in words if "=" not in word] or experiments.names()
    given = dict(word.split("=", 1) for word in words if "=" in word)
    scale, results = given.pop("scale", "paper"), Path(given.pop("results", DEFAULT_RESULTS))
    packed = given.pop("hydra/launcher", "basic") == "packed"
    try:
        print(plan(names, scale, [f"{key}={value}" for key, value in given.items()], results, packed))
    except UsageError as error:
        sys.exit(f"rpt: {error}")
    except (HydraException, OmegaConfBaseException) as error:
        sys.exit(f"rpt: {configuration_mistake(error)}")


if __name__ == "__main__":
    main()
