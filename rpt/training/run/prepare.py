"""One run made ready; its record."""

from __future__ import annotations

import functools
import logging
import os
import time
import traceback
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from rpt.backbones import Backbone, Encoded
from rpt.backbones.device import find_device, name_device
from rpt.config import Config, as_dict, find_idle, run_id
from rpt.config.schema import Values
from rpt.config.yaml_files import dump_yaml
from rpt.data.rows import warn_once
from rpt.data.splits import TaskData
from rpt.errors import ONE_LINE, RecordError, UsageError
from rpt.files import reason_of
from rpt.prompts.prompt_file import save_prompt
from rpt.records.environment import environment
from rpt.records.run_folder import RunFolder
from rpt.records.schema import Result
from rpt.tasks import Example
from rpt.training.run.checkpoint import load_checkpoint, save_checkpoint, save_weights
from rpt.training.run.evaluate import evaluate
from rpt.training.run.first_values import fingerprint_saved_start, make_head, make_soft_prompt
from rpt.training.run.loader import Loader
from rpt.training.run.methods import make_trainable
from rpt.training.run.result import describe_result
from rpt.training.run.run import TrainingRun
from rpt.training.run.tracking import start_tracker

log = logging.getLogger("rpt")
MAX_LISTED = 20  # parameters


def prepare_run(config: Config, loader: Loader) -> PreparedRun:
    """Load rows and backbone; their fingerprints decide the folder of the record.

    Raises:
        UsageError: rows, backbone or the saved prompt to begin with cannot be loaded.
    """
    data, backbone = loader.rows(config), loader.backbone(config)
    saved_start = fingerprint_saved_start(config, data.task, backbone)
    identity = run_id(config, data.fingerprint, backbone.fingerprint, backbone.precision, saved_start)
    runs = Path(config.results) / "runs"
    record = RunFolder(runs / config.task.name / config.backbone.name / config.variant / identity)
    return PreparedRun(config, data, backbone, record, loader)


@dataclass
class PreparedRun:
    """A run whose rows are read and whose backbone is loaded."""

    config: Config
    data: TaskData
    backbone: Backbone
    record: RunFolder
    loader: Loader

    def claim(self) -> bool:
        """Lock the record; False if another process holds it. A finished record needs no lock, so it may be on a disk
        that cannot be written.

        Raises:
            UsageError: there is no record, and none can be made.
        """
        try:
            return self.record.claim()
        except OSError as error:
            if not self.config.force and self.record.finished() is not None:
                return True
            raise UsageError(
                f"results={self.config.results} cannot be written ({reason_of(error)}); give results=FOLDER."
            ) from error

    def start(self) -> TrainingRun:
        """The run, at its first step or at its checkpoint. An earlier record goes only once nothing refuses the run.

        Raises:
            UsageError: its prompt cannot be initialised, its checkpoint cannot be used, or W&B refuses it.
        """
        began = time.perf_counter()
        starts_over = self.config.resume == "never" or (self.config.force and self.record.result_path.exists())
        if not self.config.tunes_prompt:
            self.backbone = self.loader.hand_over_backbone(self.config)
            make_trainable(self.backbone, self.config.method, self.config.seed)
            self.backbone.place(find_device(), self.backbone.precision)
        run = make_training_run(self.config, self.data, self.backbone, self.record)
        goes_on = not starts_over and run.parameters and load_checkpoint(run)
        run.tracker = start_tracker(self.config, run.progress.wandb_id, self.record.folder.name)
        run.progress.wandb_id = run.tracker.wandb_id
        if starts_over:
            self.record.clear()
        self.record.write_config(dump_yaml(as_dict(self.config)))
        if goes_on:
            run.say(f"{self.config.title} goes on from step {run.progress.step} of {run.total_steps}")
        _announce(run, self.backbone, self.data)
        run.progress.seconds += time.perf_counter() - began
        return run

    def finish(self, run: TrainingRun) -> Values:
        """Evaluate the best prompt of a run that has ended, and write its record; returns its result.

        Raises:
            Exception: the error that ended training.
        """
        began = time.perf_counter()
        if run.failure is not None:
            raise run.failure
        if run.parameters:
            save_checkpoint(run)  # so that a run that is killed from here on is not trained again
        run.restore_best()
        reported = run.best_evaluation if run.select is run.report else None  # do not evaluate the same rows twice
        if reported is None:
            reported = evaluate(self.backbone, run.best_prompt, run.best_head, run.report, self.config)
        run.progress.seconds += time.perf_counter() - began
        result = describe_result(run, reported, self.data, self.backbone)
        if run.best_prompt is not None:
            metadata = {"run": self.record.folder.name}
            save_prompt(self.record.prompt_path, run.best_prompt, run.best_head, metadata)
        elif run.parameters:
            save_weights(run)
        self.record.write_predictions(reported.predictions, reported.credits)
        self.record.write_result(result)
        self.record.checkpoint_path.unlink(missing_ok=True)
        run.write(self.describe(result))
        run.tracker.finish(result["scores"] | {"majority": result["majority"]["score"]})
        return result

    def describe(self, result: Result | Values) -> str:
        """What a run ends with: its scores, and where its record is."""
        data = result["data"]
        kind = f"{data['report']} rows, {result['protocol']} protocol{', miniature' if data['miniature'] else ''}"
        scores = f"score {result['scores']['score']:.2f}, majority class {result['majority']['score']:.2f}"
        return f"{self.config.title}: {scores} ({kind})\nrecord: {self.record.place}"

    def record_failure(self, run: TrainingRun | None, error: Exception) -> None:
        """Record an error, if the disk has room, but no file or setting that cannot be used. An error before the run
        started leaves an earlier record as it is."""
        if run is not None:
            with suppress(UsageError):
                run.write(str(error) if isinstance(error, ONE_LINE) else "".join(traceback.format_exception(error)))
            run.tracker.finish(failed=True)
        elif self.record.result_path.exists():
            return
        if not isinstance(error, UsageError | RecordError):
            failure = {"status": "failed", "id": self.record.folder.name, "error": f"{type(error).__name__}: {error}"}
            with suppress(UsageError):
                self.record.write_result(failure | environment())


def make_training_run(config: Config, data: TaskData, backbone: Backbone, record: RunFolder) -> TrainingRun:
    """The run, with its prompt initialised and its rows tokenised."""
    text_budget = config.backbone.max_tokens - config.prompt.length
    cache = Path(os.path.expanduser(config.data.cache))

    def encode(examples: list[Example]) -> Encoded:
        return Encoded(data.task, examples, backbone.rows(examples, data.task, text_budget, cache))

    train, report = encode(data.train), encode(data.report)
    select = report if data.select is data.report else encode(data.select)
    rows = backbone.training_rows(train)
    soft_prompt, head = make_soft_prompt(config, data.task, backbone), make_head(config, data.task, backbone)
    return TrainingRun(config, record, soft_prompt, head, backbone.trained, rows, select, report)


def _announce(run: TrainingRun, backbone: Backbone, data: TaskData) -> None:
    """Say what is trained, what is frozen and what is odd about the rows, before anything runs."""
    trained = f"trained in all {run.trained_parameters:,}"
    run.say(f"{run.config.title}: {len(run.rows)} training rows, {run.total_steps} steps; {trained}")
    shown = list(run.parameters.items())
    lines = [f"  trained {name} {tuple(p.shape)} = {p.numel():,}" for name, p in shown[:MAX_LISTED]]
    lines += [f"  … and {len(shown) - MAX_LISTED} more"] if len(shown) > MAX_LISTED else []
    lines.append(f"  frozen backbone {backbone.frozen_parameters:,}; {name_device()}; {backbone.precision}")
    if (cuts := run.count_cuts()).cut:
        lines.append(f"  {cuts}")
    run.write("\n".join(lines))
    _say_once("\n".join(lines))
    if data.form:
        run.say(data.form, logging.WARNING)
    odd = find_idle(run.config)
    trainer = run.config.trainer
    if trainer.max_steps is not None and 0 < run.total_steps < trainer.max_steps:
        odd.append(
            f"trainer.max_steps={trainer.max_steps} is not reached: {len(run.rows)} training rows and "
            f"trainer.epochs={trainer.epochs} make {run.total_steps} steps; give more epochs to train longer."
        )
    for warning in odd:
        run.write(warning)
        warn_once(warning)


@functools.cache
def _say_once(what: str) -> None:
    """The runs of a sweep share most of what there is to say of them."""
    log.info(what)
