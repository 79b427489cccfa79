"""What result.json holds."""

from __future__ import annotations

from rpt.backbones import Backbone
from rpt.backbones.device import name_device, read_peak_memory
from rpt.config.schema import Values
from rpt.data.splits import TaskData, majority_scores
from rpt.records.environment import environment
from rpt.training.run.evaluate import Evaluation
from rpt.training.run.run import TrainingRun


def describe_result(run: TrainingRun, reported: Evaluation, data: TaskData, backbone: Backbone) -> Values:
    """Scores, counts, times, and the environment of the run.

    Args:
        reported: evaluation of the best prompt on the reported rows.
    """
    config, progress = run.config, run.progress
    best = next(line for line in progress.history if line["step"] == progress.best_step)
    training_rate = progress.trained_rows / progress.training_seconds if progress.trained_rows else None
    return {
        "status": "finished",
        "id": run.record.folder.name,
        "task": config.task.name,
        "backbone": config.backbone.name,
        "prompt": config.variant,
        "protocol": config.protocol.name,
        "data": _describe_rows(run, data),
        "scores": reported.scores,
        "majority": majority_scores(data),
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
            "frozen": backbone.frozen_parameters,
        },
        "seconds": progress.seconds,
        "trained_together": progress.together,
        "rows_per_second": {"train": training_rate, "evaluate": progress.evaluation_rows_per_second},
        "peak_memory_bytes": read_peak_memory(),
        "backbone_fingerprint": backbone.fingerprint,
        "device": name_device(),
        "precision": backbone.precision,
        **environment(),
    }


def _describe_rows(run: TrainingRun, data: TaskData) -> Values:
    return {
        "name": run.config.data.name,
        "miniature": run.config.data.name == "mini",
        "fingerprint": data.fingerprint,
        "train": len(data.train),
        "select": len(data.select),
        "report": len(data.report),
        "cut": run.count_cuts().cut,
        "form": data.form,
    }
