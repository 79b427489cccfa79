"""One prompt being trained. Its parameters, its rows, and where it stands."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn

from rpt.backbones import Encoded, Heads, Row
from rpt.config import Config
from rpt.data.batches import epoch_steps
from rpt.data.cuts import Cuts, count_cuts
from rpt.errors import NonFiniteLoss
from rpt.prompts import TABLE, SoftPrompt
from rpt.prompts.prompt_file import HEAD
from rpt.records.run_folder import RunFolder
from rpt.training.run.evaluate import Evaluation
from rpt.training.run.progress import Progress, plan_steps
from rpt.training.run.tracking import Tracker

log = logging.getLogger(__name__)
WEIGHTS = "backbone."  # prefix of the names of trained backbone weights


def read_losses(runs: list[TrainingRun]) -> list[float]:
    """Move the losses of the runs from the device into their progress; returns the latest of each. Waits only once."""
    unread = [loss for run in runs for loss in run.unread_losses]
    values = iter(torch.stack(unread).tolist() if unread else [])
    latest = []
    for run in runs:
        value = math.nan
        for _, value in zip(run.unread_losses, values, strict=False):
            run.progress.add_loss(value)  # one by one, so that the sum does not depend on when losses are read
        run.unread_losses.clear()
        latest.append(value)
    return latest


class TrainingRun:
    """A run that trains within a pack: a prompt, an encoder's head, or weights of the backbone.

    Args:
        config: of this run; runs of a pack share backbone, task, data source, protocol and trainer.
        record: the folder for its results.
        soft_prompt: None for prompt=none, which is only evaluated.
        head: None if the backbone needs none.
        weights: the backbone weights that the method trains; empty in prompt tuning.
        rows: training rows.
        select, report: the examples that select the checkpoint, and those of the reported scores.
    """

    def __init__(
        self,
        config: Config,
        record: RunFolder,
        soft_prompt: SoftPrompt | None,
        head: nn.Module | None,
        weights: dict[str, nn.Parameter],
        rows: list[Row],
        select: Encoded,
        report: Encoded,
    ):
        self.config, self.record, self.soft_prompt, self.head = config, record, soft_prompt, head
        self.weights = weights
        self.rows, self.select, self.report = rows, select, report
        self.progress = Progress()
        self.moments: dict[str, dict[str, Tensor]] = {}  # of the optimizer, by parameter
        self.unread_losses: list[Tensor] = []  # of the latest steps; reading them waits for the device
        self.best_prompt: Tensor | None = None
        self.best_head: Heads = {}
        self.best_weights: dict[str, Tensor] = {}
        self.best_evaluation: Evaluation | None = None  # of this process; checkpoints do not have it
        self.failure: Exception | None = None
        self.tracker = Tracker()
        self.steps_per_epoch, self.total_steps = plan_steps(config, len(rows))

    @property
    def parameters(self) -> dict[str, nn.Parameter]:
        """All trained parameters, by name."""
        prompt = dict(self.soft_prompt.named_parameters()) if self.soft_prompt else {}
        head = dict(self.head.named_parameters(prefix=HEAD.removesuffix("."))) if self.head else {}
        return prompt | head | {f"{WEIGHTS}{name}": weight for name, weight in self.weights.items()}

    def count_cuts(self) -> Cuts:
        """The cuts in its training texts that leave room for the prompt."""
        return count_cuts(text for row in self.rows for text in row.sequences)

    @property
    def trained_parameters(self) -> int:
        """How many numbers are trained."""
        return sum(parameter.numel() for parameter in self.parameters.values())

    @property
    def kept_parameters(self) -> int:
        """How many numbers are left after folding: N * d, the head's and those of trained backbone weights."""
        network = self.soft_prompt.trained_parameters - self.soft_prompt.kept_parameters if self.soft_prompt else 0
        return self.trained_parameters - network

    def steps(self) -> Iterator[np.ndarray]:
        """The row indices of each remaining optimizer step."""
        trainer = self.config.trainer
        rows_per_step = trainer.batch_size * trainer.accumulation
        lengths = np.array([row.length for row in self.rows])
        while self.progress.step < self.total_steps:
            epoch, done = divmod(self.progress.step, self.steps_per_epoch)
            order = epoch_steps(lengths, rows_per_step, self.config.seed, epoch, trainer.order)
            yield from order[done : done + self.total_steps - self.progress.step]

    def choose_lr(self, parameter: str) -> float:
        """The learning rate of a parameter: the prompt table, the network and the head may differ."""
        network_lr = self.config.trainer.network_lr
        if parameter.startswith(HEAD) and self.config.head_has_own_lr:
            return self.config.trainer.head_lr
        if not self.config.tunes_prompt:
            return self.config.lr
        return self.config.lr if parameter == TABLE or network_lr is None else network_lr

    @property
    def pruned_score(self) -> float | None:
        """Its best score, if a search gives it up: it is not over, and the score is below the bar of its latest
        evaluation."""
        bar, evaluations = self.config.pack.prune, len(self.progress.history)
        best = self.progress.best_score
        behind = best is not None and 0 < evaluations <= len(bar) and best < bar[evaluations - 1]
        return best if behind and self.progress.stopped is None else None

    @property
    def is_over(self) -> bool:
        return self.progress.stopped is not None or self.pruned_score is not None

    def is_evaluation_due(self) -> bool:
        """Whether to evaluate now: every `trainer.eval_every` epochs, and after the last step."""
        step = self.progress.step
        epochs, rest = divmod(step, self.steps_per_epoch)
        return step == self.total_steps or (rest == 0 and epochs % self.config.trainer.eval_every == 0)

    def note_step(self, loss: Tensor, rows: int) -> None:
        """Count a completed step on so many rows; its loss stays on the device."""
        self.unread_losses.append(loss)
        self.progress.step += 1
        self.progress.trained_rows += rows

    def track_loss(self, loss: float) -> None:
        line = {"loss": loss, "lr": self.config.lr, "network_lr": self.config.trainer.network_lr or self.config.lr}
        if self.progress.training_seconds:
            line["rows_per_second"] = self.progress.trained_rows / self.progress.training_seconds
        self.track(line)

    def is_finite(self, prompt: Tensor | None, head: Heads) -> bool:
        """Whether head, trained weights and the lengths of the prompt's vectors are finite: the latest update may have
        been too large although its loss was finite."""
        lengths = [] if prompt is None else [prompt.norm(dim=1)]
        return all(bool(part.isfinite().all()) for part in (*lengths, *head.values(), *self.weights.values()))

    def give_up(self, what: str, value: float | str) -> None:
        """Fail because the loss, or what is trained, is not finite."""
        message = (
            f"the {what} of {self.config.title} is {value} by step {self.progress.step}; "
            "try a smaller lr, trainer.clip=1, or trainer.precision=fp32"
        )
        self.failure, self.progress.stopped = NonFiniteLoss(message), message
        self.record.checkpoint_path.unlink(missing_ok=True)  # continuing from it would fail again

    def note_evaluation(self, prompt: Tensor | None, head: Heads, evaluation: Evaluation) -> None:
        """Add an evaluation to the history, and keep prompt and head if they are the best so far."""
        if evaluation.constant:
            predictions = evaluation.predictions
            said = f"{self.config.title}: all {len(predictions)} answers are the same: {predictions[0]!r}"
            self.say(said, logging.WARNING)
        if self.progress.add_evaluation(evaluation, self.steps_per_epoch):
            self.keep_best(prompt, head, evaluation)
        line = self.progress.history[-1]
        self.track({f"eval/{name}": value for name, value in line.items() if value is not None})
        self.record.write_metrics(self.progress.history)
        self.write(self.latest)

    def keep_best(self, prompt: Tensor | None, head: Heads, evaluation: Evaluation) -> None:
        """Keep the present prompt, head and weights, and their evaluation."""
        self.best_evaluation = evaluation
        self.best_prompt = None if prompt is None else prompt.cpu()
        self.best_head = {name: value.cpu() for name, value in head.items()}
        self.best_weights = {name: weight.detach().cpu().clone() for name, weight in self.weights.items()}

    @torch.no_grad()
    def restore_best(self) -> None:
        """Restore the best weights of the backbone; prompt and head are passed to it at every use."""
        for name, value in self.best_weights.items():
            self.weights[name].copy_(value)

    def copy_head(self) -> Heads:
        """A copy of the present head; empty if the backbone needs none."""
        return {name: value.detach().clone() for name, value in self.head.named_parameters()} if self.head else {}

    def fold_prompt(self) -> Tensor | None:
        """The present prompt, folded, [N, d]; None if none is trained."""
        return self.soft_prompt.fold() if self.soft_prompt else None

    @property
    def latest(self) -> str:
        """The latest evaluation in one line."""
        progress, last = self.progress, self.progress.history[-1]
        loss = "" if last["loss"] is None else f"loss {last['loss']:.3f}, "
        score = f"score {last['score']:.2f}, best {progress.best_score:.2f}"
        return f"{self.config.title}: step {progress.step}, {loss}{score}"

    def say(self, text: str, level: int = logging.INFO) -> None:
        """Log what concerns this run, and write it to the run's own console."""
        log.log(level, text)
        self.write(text)

    def write(self, text: str) -> None:
        """Add to the run's own console: a file in its folder, and W&B's."""
        self.record.write_console(text)
        self.tracker.write(text)

    def track(self, line: dict[str, float]) -> None:
        self.tracker.log(line, self.progress.step)

    def seed_dropout(self) -> None:
        """Seed dropout by the run's seed and step only, so that a resumed run repeats an uninterrupted one."""
        torch.manual_seed(int(np.random.SeedSequence([self.config.seed, self.progress.step]).generate_state(1)[0]))
