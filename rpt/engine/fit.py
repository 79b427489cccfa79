"""Training a pack: one or more prompts over one frozen backbone, their rows side by side in one batch.

Shapes: R runs, B rows of all runs, N prompt tokens (of the longest prompt), T text tokens, d model width.
"""

from __future__ import annotations

import logging
import math
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch import Tensor
from torch.nn.functional import pad as pad_tensor
from tqdm import tqdm

from rpt.backbones import T5Backbone
from rpt.backbones.t5 import NO_LABEL
from rpt.config import Config, precision_of
from rpt.data.batches import pad
from rpt.engine.checkpoint import load_checkpoint, save_checkpoint
from rpt.engine.evaluate import evaluate
from rpt.engine.run import Run
from rpt.engine.tracking import Tracker

log = logging.getLogger(__name__)
READ_EVERY = 10  # steps between readings of the losses: each one makes the processor wait for the device


class NonFiniteLoss(RuntimeError):
    """A run's loss is infinite or not a number."""


class Interrupted(SystemExit):
    """The process was asked to end; every run of the pack was saved first."""


def accelerator_for(config: Config) -> Accelerator:
    """Device and precision. Runs of one sweep may want another precision than the process's first."""
    AcceleratorState._reset_state()
    precision = precision_of(config)
    return Accelerator(mixed_precision="no" if precision == "fp32" else precision)


class Pack:
    """Runs that are trained together.

    Args:
        runs: they share backbone, task and trainer; each has its own prompt, rows, learning rate and seed.
        backbone: frozen.
        accelerator: device and precision.
    """

    def __init__(self, runs: list[Run], backbone: T5Backbone, accelerator: Accelerator):
        self.runs, self.backbone, self.accelerator = runs, backbone, accelerator
        self.trainer = runs[0].config.trainer
        groups = [group for run in runs if run.soft_prompt for group in run.parameter_groups()]
        self.optimizer = None
        if groups:
            adamw = torch.optim.AdamW(groups, eps=self.trainer.eps, weight_decay=self.trainer.weight_decay)
            self.optimizer = accelerator.prepare_optimizer(adamw)
        self.failures: dict[Run, Exception] = {}
        self.trackers: dict[Run, Tracker] = {}  # of the runs that are tracked
        self._losses: dict[Run, list[Tensor]] = {run: [] for run in runs}

    def resume(self) -> None:
        """Every run goes on from its checkpoint, if it has one."""
        for run in self.runs:
            if run.soft_prompt and run.config.resume == "auto" and load_checkpoint(run, self.optimizer.optimizer):
                log.info("%s goes on from step %d of %d", run.name, run.progress.step, run.total_steps)

    def fit(self) -> None:
        """Train every run to its end; a run whose loss is not finite ends in `failures`, the others go on.

        Raises:
            Interrupted: on SIGTERM or SIGINT, after the current step and a checkpoint of every run.
        """
        self.active = {run: run.steps() for run in self.runs if run.progress.stopped is None}
        for run in [run for run in self.active if run.soft_prompt is None]:
            self.evaluate(run)
            self.leave(run, "nothing to train")
        total = sum(run.total_steps for run in self.runs)
        done = sum(run.progress.step for run in self.runs)
        with (
            _caught_signals() as caught,
            tqdm(total=total, initial=done, desc=self.runs[0].name, unit="step", disable=None, smoothing=0.05) as bar,
        ):
            while self.active:
                began = time.perf_counter()
                stepped = self.step()
                for run in stepped:
                    self.maybe_read_losses(run, bar)  # waits for the device, so its time belongs to training
                seconds = time.perf_counter() - began
                bar.update(len(stepped))
                for run in stepped:
                    run.progress.training_seconds += seconds
                    self.maybe_evaluate(run, bar)
                    self.maybe_checkpoint(run)
                if caught and self.active:
                    for run in self.active:
                        self.checkpoint(run)
                    log.warning(
                        "Stopped by signal %d; every run is saved. The same command goes on from here.", caught[0]
                    )
                    raise Interrupted(128 + caught[0])

    def step(self) -> list[Run]:
        """One optimizer step of every active run; returns them."""
        rows = {run: next(steps) for run, steps in self.active.items()}
        self.backbone.train()
        # phi runs once per step, whatever the number of rows and forward passes: the passes collect their gradients
        # in a detached copy of the prompts, and one backward then takes them through phi.
        prompts = []
        for run in rows:
            run.seed_step()
            prompts.append(run.soft_prompt())
        copies = [prompt.detach().requires_grad_() for prompt in prompts]
        for run, loss in zip(rows, self._forward_backward(rows, copies), strict=True):
            self._losses[run].append(loss)
        torch.autograd.backward(prompts, [copy.grad for copy in copies])
        if self.trainer.clip is not None:
            self.accelerator.unscale_gradients(self.optimizer)
            for run in rows:
                torch.nn.utils.clip_grad_norm_(run.soft_prompt.parameters(), self.trainer.clip)
        self.optimizer.step()
        self.optimizer.zero_grad()
        for run in rows:
            run.progress.step += 1
            run.progress.trained_rows += len(rows[run])
        return list(rows)

    def _forward_backward(self, rows: dict[Run, np.ndarray], copies: list[Tensor]) -> Tensor:
        """Gradients of every run's mean loss over its answer tokens into `copies`; the losses [R], detached."""
        device, pad_id = self.backbone.device, self.backbone.tokenizer.pad_token_id
        tokens = torch.tensor([sum(len(run.rows.answers[i]) for i in rows[run]) for run in rows], device=device)
        longest = max(len(copy) for copy in copies)
        losses = torch.zeros(len(rows), device=device)
        for start in range(0, max(map(len, rows.values())), self.trainer.batch_size):
            part = [
                (r, run, i) for r, run in enumerate(rows) for i in rows[run][start : start + self.trainer.batch_size]
            ]
            width = self.runs[0].config.backbone.max_tokens - longest if self.trainer.pad_to_max else None
            ids = pad([run.rows.sources[i] for _, run, i in part], pad_id, width).to(device)
            labels = pad([run.rows.answers[i] for _, run, i in part], NO_LABEL).to(device)
            of_run = torch.tensor([r for r, _, _ in part], device=device)
            # A shorter prompt is filled up on the left with masked zeros, next to nothing it could disturb.
            stacked = torch.stack([pad_tensor(copy, (0, 0, longest - len(copy), 0)) for copy in copies])
            mask = torch.stack([torch.arange(longest, device=device) >= longest - len(copy) for copy in copies])
            with self.accelerator.autocast():
                encoding = self.backbone.encode(stacked[of_run], mask[of_run].long(), ids)
                row_losses = self.backbone.answer_losses(encoding, labels)
            # Over the tokens of the whole step, so that accumulation gives what one large batch gives.
            run_losses = torch.zeros_like(losses).index_add(0, of_run, row_losses) / tokens
            self.accelerator.backward(run_losses.sum())
            losses += run_losses.detach()
        return losses

    def maybe_read_losses(self, run: Run, bar: tqdm) -> None:
        if run.progress.step % READ_EVERY == 0 or run.evaluation_due():
            loss = self.read_losses(run)
            if not math.isfinite(loss):
                message = (
                    f"the loss of {run.name} is {loss} by step {run.progress.step}; "
                    "try a smaller lr, trainer.clip=1, or trainer.precision=fp32"
                )
                self.failures[run] = NonFiniteLoss(message)
                run.record.checkpoint_path.unlink(missing_ok=True)  # going on from it would fail again
                self.leave(run, message, failed=True)
                return
            line = {"loss": loss, "lr": run.config.lr, "network_lr": run.config.trainer.network_lr or run.config.lr}
            if run.progress.training_seconds:
                line["rows_per_second"] = run.progress.trained_rows / run.progress.training_seconds
            self.track(run, line)
            score = {} if run.progress.best_score is None else {"best": f"{run.progress.best_score:.1f}"}
            bar.set_postfix({"loss": f"{loss:.3f}", **score}, refresh=False)

    def read_losses(self, run: Run) -> float:
        """Move the losses from the device into the run's progress; the latest one."""
        values = torch.stack(self._losses[run]).tolist() if self._losses[run] else [math.nan]
        self._losses[run].clear()
        for value in values:  # one by one, so that the sum does not depend on when it is read
            run.progress.loss_sum += value
            run.progress.loss_steps += 1
        return values[-1]

    def maybe_evaluate(self, run: Run, bar: tqdm) -> None:
        if run not in self.active or not run.evaluation_due():
            return
        self.evaluate(run)
        progress, patience = run.progress, self.trainer.patience
        last = progress.history[-1]
        bar.write(
            f"{run.name}: step {progress.step}, loss {last['loss']:.3f}, "
            f"score {last['score']:.2f}, best {progress.best_score:.2f}"
        )
        if progress.step == run.total_steps:
            self.leave(run, "all steps done")
        elif patience is not None and progress.evaluations_since_best >= patience:
            self.leave(run, f"no better score in {patience} evaluations")

    def evaluate(self, run: Run) -> None:
        """Score the run's prompt as it is now, on the rows that choose; keep it if it is the best so far."""
        progress = run.progress
        prompt = run.soft_prompt.fold() if run.soft_prompt else None
        result = evaluate(self.backbone, prompt, run.select, run.config, self.accelerator)
        if result.constant:
            log.warning("%s: all %d answers are the same: %r", run.name, len(result.predictions), result.predictions[0])
        loss = progress.loss_sum / progress.loss_steps if progress.loss_steps else None
        progress.loss_sum, progress.loss_steps = 0.0, 0
        line = {"step": progress.step, "epoch": progress.step / run.steps_per_epoch, "loss": loss, **result.scores}
        line |= {"no_label": result.no_label, "constant": result.constant}
        progress.history.append(line)
        progress.evaluation_rows_per_second = result.rows_per_second
        if progress.best_score is None or result.scores["score"] > progress.best_score:
            progress.best_score, progress.best_step = result.scores["score"], progress.step
            progress.evaluations_since_best = 0
            run.best_prompt = None if prompt is None else prompt.cpu()
        else:
            progress.evaluations_since_best += 1
        self.track(run, {f"eval/{name}": value for name, value in line.items() if value is not None})
        run.record.write_metrics(progress.history)

    def track(self, run: Run, line: dict[str, Any]) -> None:
        if run in self.trackers:
            self.trackers[run].log(line, run.progress.step)

    def maybe_checkpoint(self, run: Run) -> None:
        if run in self.active and (run.progress.step % self.trainer.checkpoint_every == 0 or run.evaluation_due()):
            self.checkpoint(run)

    def checkpoint(self, run: Run) -> None:
        if self._losses[run]:
            self.read_losses(run)
        run.progress.mark_time()
        save_checkpoint(run, self.optimizer.optimizer)

    def leave(self, run: Run, why: str, failed: bool = False) -> None:
        """The run is over and takes no more part; its optimizer state goes with it."""
        run.progress.stopped = why
        run.progress.mark_time()
        del self.active[run]
        if self.optimizer is not None:
            inner = self.optimizer.optimizer
            inner.param_groups[:] = [group for group in inner.param_groups if group["run"] != id(run)]
            if run.soft_prompt and not failed:
                save_checkpoint(run, inner)  # kept until the record is written


@contextmanager
def _caught_signals() -> Iterator[list[int]]:
    """Collect SIGTERM and SIGINT instead of dying of them; the loop looks after each step."""
    caught: list[int] = []

    def handler(number: int, _) -> None:
        if caught:  # asked twice: at once, the last checkpoint stays
            os._exit(128 + number)
        caught.append(number)

    numbers = (signal.SIGTERM, signal.SIGINT)
    try:
        before = {number: signal.signal(number, handler) for number in numbers}
    except ValueError:  # not the main thread (a launcher's): signals are not ours to catch
        before = {}
    try:
        yield caught
    finally:
        for number, old in before.items():
            signal.signal(number, old)
