"""One run from its configuration to its record: rows, backbone, prompt, training, result."""

from __future__ import annotations

import dataclasses
import logging
import resource
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
import yaml

from rpt.backbones import T5Backbone, load_backbone
from rpt.config import BackboneConfig, Config, UsageError, precision_of, run_id
from rpt.data.sources import read_examples
from rpt.data.splits import TaskData, majority_scores, split_examples
from rpt.data.tokens import Encoded, encode_answers, encode_sources
from rpt.engine.evaluate import Evaluation, evaluate
from rpt.engine.fit import Pack, accelerator_for
from rpt.engine.run import Run, TrainingRows, new_soft_prompt
from rpt.engine.tracking import Tracker
from rpt.prompts import save_prompt
from rpt.results.record import Record, environment
from rpt.tasks import TASKS

log = logging.getLogger("rpt")


@dataclasses.dataclass
class Session:
    """A run that is ready to start: its rows are read and its backbone is loaded."""

    config: Config
    data: TaskData
    backbone: T5Backbone
    record: Record

    @property
    def name(self) -> str:
        return f"{self.config.task.name} {self.config.backbone.name} {self.config.prompt.name}"

    def run(self) -> dict[str, Any]:
        """Train (or go on training), evaluate, write the record; returns its result.

        What goes wrong in training is recorded with status "failed" before it is raised again.
        """
        config, record = self.config, self.record
        if config.force or config.resume == "never":
            record.clear()
        tracker = None
        try:
            pack = self.prepared()
            (run,) = pack.runs
            pack.resume()
            record.write_config(yaml.safe_dump(dataclasses.asdict(config), sort_keys=False))
            _announce(run, self.backbone)
            tracker = pack.trackers[run] = Tracker(run)
            pack.fit()
            if run in pack.failures:
                raise pack.failures[run]
            reported = evaluate(self.backbone, run.best_prompt, run.report, config, pack.accelerator)
            result = self._result(run, reported)
            if run.best_prompt is not None:
                save_prompt(record.prompt_path, run.best_prompt, metadata={"run": record.folder.name})
            record.write_predictions(reported.predictions, reported.credits)
            record.write_result(result)
            record.checkpoint_path.unlink(missing_ok=True)
            tracker.finish(result["scores"])
            tracker = None
            return result
        except UsageError:
            raise  # nothing was tried, so there is nothing to record
        except Exception as error:
            failure = {"status": "failed", "id": record.folder.name, "error": f"{type(error).__name__}: {error}"}
            record.write_result(failure | environment())
            raise
        finally:
            if tracker is not None:  # the run was not finished: the next one of a sweep must not write into it
                tracker.finish(failed=True)

    def prepared(self) -> Pack:
        """A pack of this run alone, at its first step."""
        accelerator = accelerator_for(self.config)
        self.backbone.model.to(accelerator.device)
        return Pack([prepare_run(self.config, self.data, self.backbone, self.record)], self.backbone, accelerator)

    def _result(self, run: Run, reported: Evaluation) -> dict[str, Any]:
        config, progress, data = self.config, run.progress, self.data
        best = next(line for line in progress.history if line["step"] == progress.best_step)
        progress.mark_time()
        prompt = run.soft_prompt
        training_rate = progress.trained_rows / progress.training_seconds if progress.trained_rows else None
        return {
            "status": "finished",
            "id": self.record.folder.name,
            "task": config.task.name,
            "backbone": config.backbone.name,
            "prompt": config.prompt.name,
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
            "majority": majority_scores(TASKS[config.task.name], data.train, data.report, config.protocol.name),
            "best": {"step": progress.best_step, "epoch": best["epoch"], "select_score": progress.best_score},
            "last": progress.history[-1],
            "no_label": reported.no_label,
            "stopped": progress.stopped,
            "steps": progress.step,
            "trained_rows": progress.trained_rows,
            "evaluations": len(progress.history),
            "effective_batch_size": config.trainer.batch_size * config.trainer.accumulation,
            "parameters": {
                "trained": prompt.trained_parameters if prompt else 0,
                "kept": prompt.kept_parameters if prompt else 0,
                "frozen": sum(p.numel() for p in self.backbone.model.parameters()),
            },
            "seconds": progress.seconds,
            "rows_per_second": {"train": training_rate, "evaluate": progress.evaluation_rows_per_second},
            "peak_memory_bytes": peak_memory(),
            "backbone_fingerprint": self.backbone.fingerprint,
            "device": device_name(),
            "precision": precision_of(config),
            **environment(),
        }


def open_session(config: Config) -> Session:
    """Read the rows and load the backbone; the record's folder follows from what they are.

    Raises:
        UsageError: rows or backbone cannot be had.
    """
    data = read_data(config)
    backbone = _loaded(*dataclasses.astuple(config.backbone), config.trainer.dropout)
    identity = run_id(config, data.fingerprint, backbone.fingerprint)
    runs = Path(config.results) / "runs"
    record = Record(runs / config.task.name / config.backbone.name / config.prompt.name / identity)
    return Session(config, data, backbone, record)


@lru_cache(maxsize=1)  # the runs of a sweep mostly share their backbone, and none of them changes it
def _loaded(*settings: Any) -> T5Backbone:
    *backbone, dropout = settings
    return load_backbone(BackboneConfig(*backbone), dropout)


def prepare_run(config: Config, data: TaskData, backbone: T5Backbone, record: Record) -> Run:
    """The run with its prompt initialised and its rows tokenised."""
    task, protocol, tokenizer = TASKS[config.task.name], config.protocol.name, backbone.tokenizer
    room = config.backbone.max_tokens - config.prompt.length
    cache = Path(config.data.cache).expanduser()

    def encode(examples: list) -> Encoded:
        return encode_sources(examples, task, protocol, tokenizer, room, cache)

    train, report = encode(data.train), encode(data.report)
    select = report if data.select is data.report else encode(data.select)
    targets = training_targets(config, data)
    answers = encode_answers([target for _, target in targets], tokenizer, task.max_answer_tokens)
    rows = TrainingRows([train.sources[i] for i, _ in targets], answers)
    return Run(config, record, new_soft_prompt(config, backbone), rows, select, report)


def training_targets(config: Config, data: TaskData) -> list[tuple[int, str]]:
    """(index of the example, answer): a training example with several answers is a row for each."""
    task, protocol = TASKS[config.task.name], config.protocol.name
    return [(i, target) for i, example in enumerate(data.train) for target in task.targets(example, protocol)]


def read_data(config: Config) -> TaskData:
    """The run's examples.

    Raises:
        UsageError: they cannot be had.
    """
    task = TASKS[config.task.name]
    return split_examples(read_examples(config.data, task), task, config.data, config.protocol)


def _announce(run: Run, backbone: T5Backbone) -> None:
    """Say what is trained and what is frozen, before anything runs."""
    frozen = sum(p.numel() for p in backbone.model.parameters())
    trained = [(name, p) for name, p in run.soft_prompt.named_parameters()] if run.soft_prompt else []
    lines = [
        f"{run.name}: {len(run.rows.sources)} training rows, {run.total_steps} steps, "
        f"{device_name()}, {precision_of(run.config)}"
    ]
    lines += [f"  trained {name} {tuple(p.shape)} = {p.numel():,}" for name, p in trained]
    lines.append(f"  trained in all {sum(p.numel() for _, p in trained):,}; frozen backbone {frozen:,}")
    log.info("\n".join(lines))


def device_name() -> str:
    return torch.cuda.get_device_name() if torch.cuda.is_available() else f"CPU, {torch.get_num_threads()} threads"


def peak_memory() -> int:
    """Bytes: of the device where there is one, else of this process."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
