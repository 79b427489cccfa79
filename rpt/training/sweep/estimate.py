"""How long a run takes. From the records of runs like it, or from a few measured steps."""

from __future__ import annotations

import dataclasses
import json
import math
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from rpt.backbones import FAMILIES, Backbone
from rpt.backbones.device import forget_peak_memory, name_device, precision_of, read_peak_memory
from rpt.config import PROMPT_TUNING, Config, TrackingConfig, as_dict
from rpt.config.schema import Values
from rpt.data.splits import TaskData
from rpt.records.schema import Result
from rpt.training.engine.pack import Pack
from rpt.training.run.evaluate import evaluate
from rpt.training.run.loader import Loader
from rpt.training.run.prepare import prepare_run
from rpt.training.run.progress import plan_steps
from rpt.training.run.run import TrainingRun, read_losses
from rpt.training.sweep.memory import choose_max_tokens
from rpt.training.sweep.pack_size import SIZES, choose_max_runs

WARM_UP, MEASURED = 3, 12  # steps of one run; a pack takes as many rows in fewer steps
EVALUATED = 128  # rows


@dataclass(frozen=True)
class Rates:
    """What runs of one kind take on this machine.

    training, evaluation: rows per second; infinite if nothing is trained. start: seconds beside them. memory: peak
        bytes.
    """

    training: float
    evaluation: float
    start: float
    memory: int


class Estimator:
    """Estimates runs; every kind of run is measured once, every task's rows are read once.

    Args:
        records: what config.yaml and result.json of finished runs hold.
        together: runs of a pack; 1 is one after another, None as many as a short trial finds fastest.
        gpu_processes: processes that would compute on one GPU.
    """

    def __init__(self, records: Iterable[tuple[Values, Result]], together: int | None, gpu_processes: int = 1):
        self._together, self._gpu_processes = together, gpu_processes
        self._results = defaultdict(list)
        for config, result in records:
            packed = result.get("trained_together", 1) > 1  # such a run's rates are its share of the pack's
            if packed == (together != 1) and result["device"] == name_device() and result["rows_per_second"]["train"]:
                self._results[kind(config, result["precision"])].append(result)
        self._rates: dict[str, Rates] = {}
        self._data: dict[str, TaskData] = {}
        self._loader = Loader()

    def count_unknown_kinds(self, configs: list[Config]) -> int:
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
            rates = rates_of(known) if known else measure(config, together, self._loader, self._gpu_processes)
            self._rates[which] = rates
        parts = [dataclasses.asdict(part) for part in (config.task, config.data, config.protocol)]
        rows = json.dumps([config.backbone.family, *parts])  # an encoder's WSC is another task than a T5's
        if rows not in self._data:
            self._data[rows] = self._loader.rows(config)
        return duration(config, self._rates[which], self._data[rows]), self._rates[which].memory


def kind(config: Values, precision: str) -> str:
    """Runs of equal kind take about equally long for a row.

    Only the length of the prompt counts: its network runs once a step, whatever the number of rows.

    Args:
        config: as a record holds it.
    """
    speed = ("batch_size", "dropout", "pad_to_max", "decode")
    trainer = {key: config["trainer"][key] for key in speed}
    trainer["gradient_checkpointing"] = config["trainer"].get("gradient_checkpointing", False)  # older records lack it
    names = [config[group]["name"] for group in ("task", "data", "protocol", "backbone")]
    names += [config["backbone"].get("weights", "auto"), config.get("method", {}).get("name", PROMPT_TUNING)]
    return json.dumps([*names, config["prompt"]["length"], trainer, precision], sort_keys=True)


def _kind(config: Config) -> str:
    return kind(as_dict(config), precision_of(config))


def rates_of(results: list[Result]) -> Rates:
    """Rates from what the result.json of runs of one kind hold."""

    train, evaluate = (
        np.array([result["rows_per_second"][part] for result in results], float) for part in ("train", "evaluate")
    )
    trained, evaluated = (np.array([result[part] for result in results]) for part in ("trained_rows", "evaluations"))
    evaluated = evaluated * [result["data"]["select"] for result in results]
    start = np.array([result["seconds"] for result in results]) - trained / train - evaluated / evaluate
    return Rates(
        float(train.mean()),
        float(evaluate.mean()),
        float(np.maximum(start, 0.0).mean()),
        max(result["peak_memory_bytes"] for result in results),
    )


def measure(config: Config, together: int | None, loader: Loader, gpu_processes: int = 1) -> Rates:
    """Rates from a few steps and a part of the evaluation; nothing is recorded.

    Args:
        together: runs of a pack, as above; the rates are one run's share.
        gpu_processes: processes that would compute on one GPU.

    Raises:
        UsageError: rows or backbone cannot be had.
    """
    forget_peak_memory()
    with tempfile.TemporaryDirectory() as folder:
        config = dataclasses.replace(config, results=folder, tracking=TrackingConfig(name="none"))
        run, backbone, starting = _start(config, 0, loader)
        max_tokens = choose_max_tokens(config, backbone, gpu_processes)
        together = together or choose_max_runs(run, backbone, SIZES[-1], max_tokens)
        others = [_start(config, seed, loader) for seed in range(1, together)]
        start = (starting + sum(seconds for *_, seconds in others)) / together
        training = math.inf
        if run.total_steps:
            pack = Pack(backbone, together, max_tokens, config.pack.graphs, gpu_processes)
            training = measure_training(pack, [run, *(other for other, *_ in others)])
        # Short and long rows alike.
        spread = np.unique(np.linspace(0, len(run.report.examples) - 1, EVALUATED).astype(int))
        evaluated = evaluate(backbone, run.fold_prompt(), run.copy_head(), run.report.pick(spread.tolist()), config)
    return Rates(training, evaluated.rows_per_second, start, read_peak_memory())


def measure_training(pack: Pack, runs: list[TrainingRun]) -> float:
    """Rows per second of all runs, from a few steps of them together."""
    pack.join(runs)
    run, together = runs[0], len(runs)
    warm_up, measured = (max(1, steps // together) for steps in (WARM_UP, MEASURED))
    for _ in range(min(warm_up, run.total_steps - 1)):
        pack.step()
    began, before = time.perf_counter(), run.progress.trained_rows
    for _ in range(min(measured, run.total_steps - run.progress.step)):
        pack.step()
    read_losses([run])  # waits for the device
    return together * (run.progress.trained_rows - before) / (time.perf_counter() - began)


def _start(config: Config, seed: int, loader: Loader) -> tuple[TrainingRun, Backbone, float]:
    """A run, the backbone that it has then, and the seconds that its start took."""
    prepared = prepare_run(dataclasses.replace(config, seed=seed), loader)
    began = time.perf_counter()
    run = prepared.start()
    return run, prepared.backbone, time.perf_counter() - began


def duration(config: Config, rates: Rates, data: TaskData) -> float:
    """Seconds of a run from its start to its record, if nothing stops it early."""
    n_rows = FAMILIES[config.backbone.family].count(data.train, data.task)
    per_epoch, steps = plan_steps(config, n_rows)
    evaluations = max(1, math.ceil(steps / (per_epoch * config.trainer.eval_every)))
    evaluated = evaluations * len(data.select)
    evaluated += 0 if data.select is data.report else len(data.report)  # what chose the best prompt is asked no more
    return rates.start + steps / per_epoch * n_rows / rates.training + evaluated / rates.evaluation
