"""Where a run stands."""

from __future__ import annotations

from dataclasses import dataclass, field

from rpt.config import Config
from rpt.config.schema import Values
from rpt.training.run.evaluate import Evaluation


@dataclass
class Progress:
    """The progress of a run; with the tensors of its checkpoint, all that a resumed run needs."""

    step: int = 0  # completed steps
    updates: int = 0  # of the optimizer; fp16 skips some steps
    seconds: float = 0.0  # wall time, including earlier processes; its share of time spent on several runs
    training_seconds: float = 0.0  # the part of it in optimizer steps
    together: int = 1  # the largest number of runs in its pack, itself included
    trained_rows: int = 0
    evaluation_rows_per_second: float = 0.0  # of the latest evaluation
    loss_sum: float = 0.0  # since the latest evaluation
    loss_steps: int = 0
    best_score: float | None = None
    best_step: int = 0
    evaluations_since_best: int = 0
    history: list[Values] = field(default_factory=list)  # the lines of metrics.jsonl
    stopped: str | None = None  # why it has ended
    wandb_id: str | None = None
    loss_scale: dict[str, float] = field(default_factory=dict)  # the state of fp16's scaler; empty in other precisions

    def add_loss(self, loss: float) -> None:
        self.loss_sum += loss
        self.loss_steps += 1

    def add_evaluation(self, evaluation: Evaluation, steps_per_epoch: int) -> bool:
        """Add a line to the history; returns whether this is the best evaluation so far."""
        loss = self.loss_sum / self.loss_steps if self.loss_steps else None
        self.loss_sum, self.loss_steps = 0.0, 0
        line = {"step": self.step, "epoch": self.step / steps_per_epoch, "loss": loss, **evaluation.scores}
        line |= {"no_label": evaluation.no_label, "constant": evaluation.constant}
        if evaluation.prompt_norm is not None:
            line["prompt_norm"] = round(evaluation.prompt_norm, 4)
        self.history.append(line)
        self.evaluation_rows_per_second = evaluation.rows_per_second
        if self.best_score is not None and evaluation.scores["score"] <= self.best_score:
            self.evaluations_since_best += 1
            return False
        self.best_score, self.best_step, self.evaluations_since_best = evaluation.scores["score"], self.step, 0
        return True


def plan_steps(config: Config, n_rows: int) -> tuple[int, int]:
    """Optimizer steps of an epoch over `n_rows` training rows, and of the whole run unless it stops early; 0 of a run
    that only evaluates the backbone (prompt=none)."""
    trainer = config.trainer
    per_epoch = -(-n_rows // (trainer.batch_size * trainer.accumulation))
    if config.tunes_prompt and config.prompt.length == 0:
        return per_epoch, 0
    total = per_epoch * trainer.epochs
    return per_epoch, total if trainer.max_steps is None else min(total, trainer.max_steps)
