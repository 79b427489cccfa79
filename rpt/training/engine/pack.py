"""The loop: admit, train, evaluate, checkpoint, dismiss. A pack is one or more prompts over one frozen backbone, their
rows side by side in each pass."""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import NoReturn

import numpy as np
import torch
from tqdm import tqdm

from rpt.backbones import Backbone
from rpt.backbones.device import cap_evaluation_pass
from rpt.backbones.pass_limit import PassLimit
from rpt.errors import UsageError
from rpt.records.schema import ALL_STEPS
from rpt.training.engine.graphs import GraphedLosses
from rpt.training.engine.signals import Interrupted, catch_signals
from rpt.training.engine.stacked_runs import StackedRuns, stack_runs
from rpt.training.engine.step import Step
from rpt.training.engine.threads import ThreadWatch
from rpt.training.run.checkpoint import save_checkpoint
from rpt.training.run.evaluate import evaluate
from rpt.training.run.run import TrainingRun, read_losses

log = logging.getLogger(__name__)
READ_EVERY = 10  # steps between readings of losses: each makes the processor wait for the device


class Pack:
    """Runs that train together. They share backbone, task, protocol and trainer; each has its own prompt, rows,
    learning rate and seed, and computes the same numbers as alone.

    Args:
        backbone: frozen, or that of a single run that trains it.
        max_runs: the maximal number of runs at once.
        max_tokens: the maximal number of tokens in a forward pass, padding included; a step has as many passes as it
            needs.
        graphs: whether passes may be recorded as CUDA graphs.
        gpu_processes: processes that compute on the same GPU, this one included.
    """

    def __init__(
        self,
        backbone: Backbone,
        max_runs: int = 1,
        max_tokens: float = math.inf,
        graphs: bool = True,
        gpu_processes: int = 1,
    ):
        self.backbone, self.max_runs, self.limit = backbone, max_runs, PassLimit(max_tokens)
        self.evaluation_limit = PassLimit(cap_evaluation_pass(backbone.device))
        self.threads = ThreadWatch(backbone.device)
        self.losses = GraphedLosses(backbone, graphs, gpu_processes)
        # Without it, fp16's gradients would underflow; in other precisions it does nothing.
        self.scaler = torch.amp.GradScaler(backbone.device.type, enabled=backbone.precision == "fp16")
        self.active: dict[TrainingRun, Iterator[np.ndarray]] = {}  # the rows of each run's next steps
        self.stacks: list[StackedRuns] = []

    def fit(self, waiting: Iterator[TrainingRun]) -> Iterator[TrainingRun]:
        """Train the runs to their ends. Yields each when it ends; a waiting run then takes its place.

        A run whose loss or prompt is not finite ends with a `failure`; the others continue.

        Raises:
            Interrupted: on SIGTERM or SIGINT, after the current step and a checkpoint of every run.
        """
        bar = tqdm(unit="step", disable=None, smoothing=0.05, total=0)
        with catch_signals(_exit_if_asked_again) as caught, bar:
            while True:
                yield from self.admit(waiting, caught, bar)
                if caught:
                    self.interrupt(caught[0])
                if not self.active:
                    return
                for run in self.train(bar):
                    self.maybe_evaluate(run, bar)
                    self.maybe_checkpoint(run)
                yield from self.dismiss()

    def admit(self, waiting: Iterator[TrainingRun], caught: list[int], bar: tqdm) -> Iterator[TrainingRun]:
        """Admit waiting runs to free places, unless a signal was caught; yields those that have already ended."""
        joining: list[TrainingRun] = []
        while (
            not caught and len(self.active) + len(joining) < self.max_runs and (run := next(waiting, None)) is not None
        ):
            if not run.parameters:
                self.evaluate(run)
                run.progress.stopped = "nothing to train"
            if run.is_over:
                yield run
            else:
                joining.append(run)
        if joining:
            self.join(joining)
            bar.total += sum(run.total_steps for run in joining)
            bar.update(sum(run.progress.step for run in joining))
            together = len(self.active)
            bar.set_description(joining[0].config.title if together == 1 else f"{together} runs together")

    def join(self, runs: list[TrainingRun]) -> None:
        """Add runs to the pack, from the next step on."""
        self.active |= {run: run.steps() for run in runs}
        for run in self.active:
            run.progress.together = max(run.progress.together, len(self.active))
        for run in runs:  # there is a scale only in packs of one: runs cannot share it
            if run.progress.loss_scale:
                self.scaler.load_state_dict(run.progress.loss_scale)
        self.restack()

    def restack(self) -> None:
        self.stacks = stack_runs(self.active, self.backbone.d_model)

    def dismiss(self) -> list[TrainingRun]:
        """The runs that are over; they leave."""
        over = [run for run in self.active if run.is_over]
        for run in over:
            del self.active[run]
        if over:
            self.restack()
        return over

    def train(self, bar: tqdm) -> list[TrainingRun]:
        """One step of every run; each run is charged an equal share of the time."""
        began, processor_began = time.perf_counter(), time.process_time()
        runs = self.step()
        self.maybe_read_losses(runs, bar)  # waits for the device, so its time belongs to training
        seconds = time.perf_counter() - began
        self.threads.note_step(seconds, time.process_time() - processor_began)
        share = seconds / len(runs)
        bar.update(len(runs))
        for run in runs:
            run.progress.training_seconds += share
            run.progress.seconds += share
        return runs

    def step(self) -> list[TrainingRun]:
        """One optimizer step of every run; returns them."""
        runs = [run for stack in self.stacks for run in stack.runs]
        rows = [next(self.active[run]) for run in runs]
        losses = Step(self.losses, self.stacks, rows, self.scaler).take(self.limit)
        for run, indices, loss in zip(runs, rows, losses, strict=True):
            run.note_step(loss, len(indices))
        return runs

    def maybe_read_losses(self, runs: list[TrainingRun], bar: tqdm) -> None:
        due = [run for run in runs if run.progress.step % READ_EVERY == 0 or run.is_evaluation_due()]
        for run, loss in zip(due, read_losses(due), strict=True):
            total = run.progress.loss_sum  # fp16 may overflow in a step and not in the next: the mean shows it
            if math.isfinite(total):
                run.track_loss(loss)
                best = run.progress.best_score
                bar.set_postfix_str(f"loss {loss:.3f}" + ("" if best is None else f", best {best:.1f}"), refresh=False)
            else:
                run.give_up("loss", total)

    def maybe_evaluate(self, run: TrainingRun, bar: tqdm) -> None:
        if run.failure is None and run.is_evaluation_due() and self.evaluate(run):
            bar.write(run.latest)
            progress, patience = run.progress, run.config.trainer.patience
            if progress.step == run.total_steps:
                progress.stopped = ALL_STEPS
            elif patience is not None and progress.evaluations_since_best >= patience:
                progress.stopped = f"no better score in {patience} evaluations"

    def evaluate(self, run: TrainingRun) -> bool:
        """Score the present prompt and head on the selection rows, and keep them if they are the best so far; False if
        they are not finite, and the run has failed."""
        began = time.perf_counter()
        prompt, head = run.fold_prompt(), run.copy_head()
        if not run.is_finite(prompt, head):
            run.give_up("trained part", "not finite")
            return False
        evaluation = evaluate(self.backbone, prompt, head, run.select, run.config, self.evaluation_limit)
        run.note_evaluation(prompt, head, evaluation)
        run.progress.seconds += time.perf_counter() - began
        return True

    def maybe_checkpoint(self, run: TrainingRun) -> None:
        due = run.progress.step % run.config.trainer.checkpoint_every == 0 or run.is_evaluation_due()
        if run.failure is None and due:
            self.save(run)

    def save(self, run: TrainingRun) -> None:
        run.progress.loss_scale = self.scaler.state_dict()
        save_checkpoint(run)

    def interrupt(self, signal_number: int) -> NoReturn:
        failed = []
        for run in self.active:
            try:
                self.save(run)
            except UsageError as error:  # the disk is full: the sweep ends all the same
                failed.append(f"{run.config.title} is not saved: {error}")
        outcome = " ".join(failed) or "every run is saved. The same command goes on from here."
        for run in self.active:
            with suppress(UsageError):
                run.write(f"Stopped by signal {signal_number}; {outcome}")
        log.warning("Stopped by signal %d; %s", signal_number, outcome)
        raise Interrupted(128 + signal_number)


def _exit_if_asked_again(caught: list[int]) -> None:
    """The second signal may be the first once more: a scheduler sends it to every process, the command to its children.
    The third ends at once, without another checkpoint: the last one stays."""
    if len(caught) > 2:
        os._exit(128 + caught[-1])
