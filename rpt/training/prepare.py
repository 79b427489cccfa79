"""One run from its configuration to its record: rows, backbone, prompt, result."""

from __future__ import annotations

import dataclasses
import logging
import resource
import sys
import time
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
import yaml
from accelerate import Accelerator, PartialState

from rpt.backbones import Backbone, Encoded, load_backbone
from rpt.backbones.device import precision_of
from rpt.config import BackboneConfig, Config, DataConfig, ProtocolConfig, as_dict, run_id
from rpt.data import task_for
from rpt.data.sources import read_examples
from rpt.data.splits import TaskData, majority_scores, split_examples
from rpt.errors import RecordError, UsageError
from rpt.prompts import HEAD, save_prompt
from rpt.records.environment import environment
from rpt.records.run_folder import RunFolder
from rpt.tasks import get_task
from rpt.training.checkpoint import load_checkpoint, save_checkpoint
from rpt.training.evaluate import Evaluation, evaluate
from rpt.training.methods import install
from rpt.training.run import WEIGHTS, TrainingRun, new_head, new_soft_prompt
from rpt.training.tracking import Tracker

log = logging.getLogger("rpt")
MOST_NAMED = 20  # of what is trained


@dataclasses.dataclass
class PreparedRun:
    """A run with all that it needs: its rows are read and its backbone is loaded."""

    config: Config
    data: TaskData
    backbone: Backbone
    record: RunFolder

    @property
    def name(self) -> str:
        return f"{self.config.task.name} {self.config.backbone.name} {self.config.variant}"

    def begin(self) -> TrainingRun:
        """The run at its first step, or where its checkpoint left it.

        Raises:
            UsageError: its prompt cannot be initialised, or its checkpoint not be used.
        """
        began = time.perf_counter()
        if self.config.force or self.config.resume == "never":
            self.record.clear()
        if not self.config.tunes_prompt:
            self.backbone = _tuned(self.config)
        run = new_training_run(self.config, self.data, self.backbone, self.record)
        if run.parameters and load_checkpoint(run):
            log.info("%s goes on from step %d of %d", run.name, run.progress.step, run.total_steps)
        self.record.write_config(yaml.safe_dump(as_dict(self.config), sort_keys=False))
        _announce(run, self.backbone)
        run.tracker = Tracker(run)
        run.progress.seconds += time.perf_counter() - began
        return run

    def finish(self, run: TrainingRun, accelerator: Accelerator) -> dict[str, Any]:
        """Evaluate the best prompt and write the record of a run that is over; returns its result.

        Raises:
            Exception: what went wrong in training.
        """
        began = time.perf_counter()
        if run.failure is not None:
            raise run.failure
        if run.parameters:
            save_checkpoint(run)  # a run that is killed from here on is not trained again
        run.restore_best()
        reported = run.best_evaluation if run.select is run.report else None  # rows that chose it are not asked again
        if reported is None:
            reported = evaluate(self.backbone, run.best_prompt, run.best_head, run.report, self.config, accelerator)
        run.progress.seconds += time.perf_counter() - began
        result = self._result(run, reported)
        if run.best_prompt is not None:
            metadata = {"run": self.record.folder.name}
            save_prompt(self.record.prompt_path, run.best_prompt, run.best_head, metadata)
        elif run.parameters:
            head = {f"{HEAD}{name}": value for name, value in run.best_head.items()}
            self.record.write_weights(
                head | {f"{WEIGHTS}{name}": w.contiguous() for name, w in run.best_weights.items()}
            )
        self.record.write_predictions(reported.predictions, reported.credits)
        self.record.write_result(result)
        self.record.checkpoint_path.unlink(missing_ok=True)
        run.tracker.finish(result["scores"])
        return result

    def fail(self, run: TrainingRun | None, error: Exception) -> None:
        """Record what went wrong in training; not a file or setting that cannot be used, for nothing was tried."""
        if run is not None and run.tracker is not None:
            run.tracker.finish(failed=True)
        if not isinstance(error, UsageError | RecordError):
            failure = {"status": "failed", "id": self.record.folder.name, "error": f"{type(error).__name__}: {error}"}
            self.record.write_result(failure | environment())

    def _result(self, run: TrainingRun, reported: Evaluation) -> dict[str, Any]:
        config, progress, data = self.config, run.progress, self.data
        best = next(line for line in progress.history if line["step"] == progress.best_step)
        task = task_for(config)
        training_rate = progress.trained_rows / progress.training_seconds if progress.trained_rows else None
        return {
            "status": "finished",
            "id": self.record.folder.name,
            "task": config.task.name,
            "backbone": config.backbone.name,
            "prompt": config.variant,
            "protocol": config.protocol.name,
            "data": {
                "name": config.data.name,
                "miniature": config.data.name == "mini",
                "fingerprint": data.fingerprint,
                "train": len(data.train),
                "select": len(data.select),
                "report": len(data.report),
            },
            "scores": reported.scores,
            "majority": majority_scores(task, data.train, data.report, config.protocol.name),
            "best": {"step": progress.best_step, "epoch": best["epoch"], "select_score": progress.best_score},
            "last": progress.history[-1],
            "no_label": reported.no_label,
            "stopped": progress.stopped,
            "steps": progress.step,
            "trained_rows": progress.trained_rows,
            "evaluations": len(progress.history),
            "effective_batch_size": config.trainer.batch_size * config.trainer.accumulation,
            "parameters": {
                "trained": run.trained_parameters,
                "kept": run.kept_parameters,
                "frozen": _frozen(self.backbone),
            },
            "seconds": progress.seconds,
            "trained_together": progress.together,
            "rows_per_second": {"train": training_rate, "evaluate": progress.evaluation_rows_per_second},
            "peak_memory_bytes": peak_memory(),
            "backbone_fingerprint": self.backbone.fingerprint,
            "device": device_name(),
            "precision": precision_of(config),
            **environment(),
        }


def prepare_run(config: Config) -> PreparedRun:
    """Read the rows and load the backbone; the record's folder follows from what they are.

    Raises:
        UsageError: rows or backbone cannot be had.
    """
    data = read_data(config)
    backbone = _loaded(*dataclasses.astuple(config.backbone), config.trainer.dropout, precision_of(config))
    identity = run_id(config, data.fingerprint, backbone.fingerprint, precision_of(config))
    runs = Path(config.results) / "runs"
    record = RunFolder(runs / config.task.name / config.backbone.name / config.variant / identity)
    return PreparedRun(config, data, backbone, record)


@lru_cache(maxsize=1)  # the runs of a sweep mostly share their backbone, and none of them changes it
def _loaded(*settings: Any) -> Backbone:
    *config, dropout, precision = settings
    backbone = load_backbone(BackboneConfig(*config), dropout)
    backbone.place(_device(), precision)
    return backbone


def _tuned(config: Config) -> Backbone:
    """A backbone of the run's own: its method changes it."""
    backbone = load_backbone(config.backbone, config.trainer.dropout)
    install(backbone, config.method, config.seed)
    backbone.place(_device(), precision_of(config))
    return backbone


def new_training_run(config: Config, data: TaskData, backbone: Backbone, record: RunFolder) -> TrainingRun:
    """The run with its prompt initialised and its rows tokenised."""
    task, protocol = task_for(config), config.protocol.name
    room = config.backbone.max_tokens - config.prompt.length
    cache = Path(config.data.cache).expanduser()

    def encode(examples: list) -> Encoded:
        return Encoded(examples, backbone.rows(examples, task, protocol, room, cache))

    train, report = encode(data.train), encode(data.report)
    select = report if data.select is data.report else encode(data.select)
    rows = backbone.training_rows(data.train, train.rows, task, protocol)
    soft_prompt, head = new_soft_prompt(config, backbone), new_head(config, backbone)
    return TrainingRun(config, record, soft_prompt, head, backbone.trained, rows, select, report)


def read_data(config: Config) -> TaskData:
    """The run's examples.

    Raises:
        UsageError: they cannot be had.
    """
    data, protocol = dataclasses.astuple(config.data), dataclasses.astuple(config.protocol)
    return _read(config.task.name, config.backbone.family, data, protocol)


@lru_cache(maxsize=4)
def _read(task: str, family: str, data: tuple[Any, ...], protocol: tuple[Any, ...]) -> TaskData:
    task, data, protocol = get_task(task, family), DataConfig(*data), ProtocolConfig(*protocol)
    return split_examples(read_examples(data, task), task, data, protocol)


def _announce(run: TrainingRun, backbone: Backbone) -> None:
    """Say what is trained and what is frozen, before anything runs."""
    lines = [
        f"{run.name}: {len(run.rows)} training rows, {run.total_steps} steps, "
        f"{device_name()}, {precision_of(run.config)}"
    ]
    shown = list(run.parameters.items())
    lines += [f"  trained {name} {tuple(p.shape)} = {p.numel():,}" for name, p in shown[:MOST_NAMED]]
    lines += [f"  … and {len(shown) - MOST_NAMED} more"] if len(shown) > MOST_NAMED else []
    lines.append(f"  trained in all {run.trained_parameters:,}; frozen backbone {_frozen(backbone):,}")
    log.info("\n".join(lines))


def _frozen(backbone: Backbone) -> int:
    return sum(p.numel() for p in backbone.model.parameters() if not p.requires_grad)


def _device() -> torch.device:
    """As `accelerator_for` has it."""
    return PartialState(cpu=not torch.cuda.is_available()).device


def device_name() -> str:
    return torch.cuda.get_device_name() if torch.cuda.is_available() else f"CPU, {torch.get_num_threads()} threads"


def forget_peak_memory() -> None:
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()


def peak_memory() -> int:
    """Bytes: of the device since `forget_peak_memory`, where there is one; else of this process since its start."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
