"""Training a pack: one or more prompts over one frozen backbone, their rows side by side in one batch.

Shapes: R runs, B rows of all runs, N prompt tokens (of the longest prompt), T text tokens, d model width.
"""

from __future__ import annotations

import logging
import math
import os
import time
from collections import defaultdict
from collections.abc import Iterator
from functools import partial
from typing import NamedTuple, NoReturn

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.optimizer import AcceleratedOptimizer
from accelerate.state import AcceleratorState
from torch import Tensor
from torch.nn.functional import pad as pad_tensor
from tqdm import tqdm

from rpt.backbones import DTYPES, Backbone, Heads, Row
from rpt.backbones.device import precision_of
from rpt.config import Config
from rpt.data.batches import plan_passes
from rpt.training.checkpoint import save_checkpoint
from rpt.training.evaluate import evaluate
from rpt.training.memory import pass_tokens
from rpt.training.run import TrainingRun
from rpt.training.signals import Interrupted, caught_signals
from rpt.training.stacked_runs import StackedRuns, shape_of

log = logging.getLogger(__name__)
READ_EVERY = 10  # steps between readings of the losses: each one makes the processor wait for the device


class NonFiniteLoss(RuntimeError):
    """A run's loss is infinite or not a number."""


class GradientBuffers(NamedTuple):
    """What the passes of a step collect their gradients in: every run's prompt [R, N, d] and head [R, ...], and the
    backbone's weights as far as they are trained."""

    prompts: Tensor
    heads: Heads
    weights: list[Tensor]

    def forget(self) -> None:
        for leaf in (self.prompts, *self.heads.values(), *self.weights):
            leaf.grad = None


def accelerator_for(config: Config) -> Accelerator:
    """Device and precision. Runs of one sweep may want another precision than the process's first."""
    AcceleratorState._reset_state()
    precision = precision_of(config)
    # Without CUDA the processor, also where accelerate would find an Apple GPU: nothing has been measured on one.
    cpu, half = not torch.cuda.is_available(), DTYPES.get(precision)
    accelerator = Accelerator(cpu=cpu, mixed_precision=precision if half else "no")
    # Its own asks for the precision of the process's latest accelerator.
    accelerator.autocast = partial(torch.autocast, accelerator.device.type, half, enabled=half is not None)
    return accelerator


class Pack:
    """Runs that are trained together. They share backbone, task, protocol and trainer; each has its own prompt, rows,
    learning rate and seed, and its numbers are those that it would have alone.

    Args:
        backbone: frozen.
        accelerator: device and precision.
        max_runs: at most so many at once.
        max_tokens: at most so many in one forward pass, padding included; a step takes as many passes as it needs.
    """

    def __init__(self, backbone: Backbone, accelerator: Accelerator, max_runs: int = 1, max_tokens: float = math.inf):
        self.backbone, self.accelerator = backbone, accelerator
        self.max_runs, self.max_tokens = max_runs, max_tokens
        self.active: dict[TrainingRun, Iterator[np.ndarray]] = {}
        self.stacks: list[StackedRuns] = []
        self.optimizers: list[AcceleratedOptimizer] = []
        self._losses: dict[TrainingRun, list[Tensor]] = defaultdict(list)

    def fit(self, waiting: Iterator[TrainingRun]) -> Iterator[TrainingRun]:
        """Train the runs to their ends; each is yielded when it is over, and one that waits takes its place.

        A run whose loss is not finite is over too, with its `failure`; the others go on.

        Raises:
            Interrupted: on SIGTERM or SIGINT, after the current step and a checkpoint of every run.
        """
        with (
            caught_signals(_at_once_if_asked_twice) as caught,
            tqdm(unit="step", disable=None, smoothing=0.05, total=0) as bar,
        ):
            while True:
                yield from self._filled_up(waiting, bar, caught)
                if caught:
                    self._interrupted(caught)
                if not self.active:
                    return
                began = time.perf_counter()
                stepped = self.step()
                for run in stepped:
                    self.maybe_read_losses(run, bar)  # waits for the device, so its time belongs to training
                share = (time.perf_counter() - began) / len(stepped)
                bar.update(len(stepped))
                for run in stepped:
                    run.progress.training_seconds += share
                    run.progress.seconds += share
                    self.maybe_evaluate(run, bar)
                    self.maybe_checkpoint(run)
                ended = [run for run in stepped if run.progress.stopped is not None]
                self._leave(ended)
                yield from ended

    def _interrupted(self, caught: list[int]) -> NoReturn:
        for run in self.active:
            self.checkpoint(run)
        log.warning("Stopped by signal %d; every run is saved. The same command goes on from here.", caught[0])
        raise Interrupted(128 + caught[0])

    def _filled_up(self, waiting: Iterator[TrainingRun], bar: tqdm, caught: list[int]) -> Iterator[TrainingRun]:
        """Let waiting runs take the free places, unless a signal was caught; yields those that are over already."""
        joining = []
        while (
            not caught and len(self.active) + len(joining) < self.max_runs and (run := next(waiting, None)) is not None
        ):
            if not run.parameters:
                self.evaluate(run)
                run.progress.stopped = "nothing to train"
            if run.progress.stopped is not None:
                yield run
            else:
                joining.append(run)
        if joining:
            self.join(joining)
            bar.total += sum(run.total_steps for run in joining)
            bar.update(sum(run.progress.step for run in joining))
            bar.set_description(joining[0].name if len(self.active) == 1 else f"{len(self.active)} runs together")

    def join(self, runs: list[TrainingRun]) -> None:
        """The runs take part from the next step on."""
        self.active |= {run: run.steps() for run in runs}
        for run in self.active:
            run.progress.together = max(run.progress.together, len(self.active))
        self._restack()

    def _leave(self, runs: list[TrainingRun]) -> None:
        for run in runs:
            del self.active[run], self._losses[run]
        if runs:
            self._restack()

    def _restack(self) -> None:
        alike = defaultdict(list)
        for run in self.active:
            alike[shape_of(run)].append(run)
        width = self.backbone.embeddings.shape[1]
        self.stacks = [StackedRuns(runs, width) for runs in alike.values()]
        self.optimizers = [
            AcceleratedOptimizer(stack.optimizer, device_placement=False, scaler=self.accelerator.scaler)
            for stack in self.stacks
        ]

    def step(self) -> list[TrainingRun]:
        """One optimizer step of every active run; returns them."""
        runs = [run for stack in self.stacks for run in stack.runs]
        rows = [next(self.active[run]) for run in runs]
        self.backbone.train()
        if len(runs) == 1:  # the backbone's own dropout, which is only on in a pack of one
            runs[0].seed_step()
        # phi runs once per step, whatever the number of rows and forward passes: the passes collect their gradients
        # in a detached table of the prompts, and one backward then takes them through phi. A shorter prompt is filled
        # up on the left with zeros, which are masked. Heads, which stand in the stacks of their prompts, are collected
        # and given back in the same way.
        prompts = [stack() for stack in self.stacks]
        longest, sizes = max(prompt.shape[1] for prompt in prompts), [len(prompt) for prompt in prompts]
        table = torch.cat([pad_tensor(p.detach(), (0, 0, longest - p.shape[1], 0)) for p in prompts])
        table.requires_grad_(longest > 0)
        heads = {
            name: torch.cat([stack.heads[name].detach() for stack in self.stacks]).requires_grad_()
            for name in self.stacks[0].heads
        }
        weights = list(self.backbone.trained.values())
        losses = self._forward_backward(runs, rows, GradientBuffers(table, heads, weights))
        if table.requires_grad:
            gradients = zip(table.grad.split(sizes), prompts, strict=True)
            torch.autograd.backward(prompts, [g[:, longest - p.shape[1] :] for g, p in gradients])
        for name, head in heads.items():
            for stack, gradient in zip(self.stacks, head.grad.split(sizes), strict=True):
                stack.heads[name].grad = gradient
        for stack, optimizer in zip(self.stacks, self.optimizers, strict=True):
            stack.collect()
            clip = stack.runs[0].config.trainer.clip
            if clip is not None:
                self.accelerator.unscale_gradients(optimizer)
                stack.clip(clip)
            optimizer.step()
            optimizer.zero_grad()
        for run, of_run, loss in zip(runs, rows, losses, strict=True):
            self._losses[run].append(loss)
            run.progress.step += 1
            run.progress.trained_rows += len(of_run)
        return runs

    def _forward_backward(self, runs: list[TrainingRun], rows: list[np.ndarray], leaves: GradientBuffers) -> Tensor:
        """Gradients of every run's mean loss over the terms of its rows into `leaves`; the losses [R], detached.

        If the device's memory does not suffice, the passes are halved, now and from here on.
        """
        while True:
            try:
                return self._passes(runs, rows, leaves)
            except torch.OutOfMemoryError:
                if self.max_tokens <= runs[0].config.backbone.max_tokens:  # a single row may be as long
                    raise
                total = sum(len(of_run) for of_run in rows) * runs[0].config.backbone.max_tokens
                self.max_tokens = min(self.max_tokens, total) // 2
            leaves.forget()  # outside of the handler, whose exception holds on to the memory
            torch.cuda.empty_cache()
            log.warning("Out of memory; passes of at most %d tokens from here on.", self.max_tokens)

    def _passes(self, runs: list[TrainingRun], rows: list[np.ndarray], leaves: GradientBuffers) -> Tensor:
        device, trainer = leaves.prompts.device, runs[0].config.trainer
        terms = [sum(run.rows[i].terms for i in own) for run, own in zip(runs, rows, strict=True)]
        terms = torch.tensor(terms, device=device)
        lengths = torch.tensor([run.config.prompt.length for run in runs], device=device)
        losses = torch.zeros(len(runs), device=device)
        for start in range(0, max(map(len, rows)), trainer.batch_size):
            part = [
                (r, run, run.rows[i]) for r, run in enumerate(runs) for i in rows[r][start : start + trainer.batch_size]
            ]
            # Rows of similar length meet, whichever run they belong to.
            part.sort(key=lambda piece: (piece[1].config.prompt.length, piece[2].length))
            sizes = [(len(row.sequences), run.config.prompt.length, row.length) for _, run, row in part]
            if trainer.pad_to_max:
                sizes = [(each, prompt, runs[0].config.backbone.max_tokens - prompt) for each, prompt, _ in sizes]
            widths = [(each * prompt, each * text) for each, prompt, text in sizes]
            for first, last in plan_passes(widths, self.max_tokens, pass_tokens(self.backbone)):
                losses += self._pass(part[first:last], leaves, lengths, terms)
        return losses

    def _pass(
        self, part: list[tuple[int, TrainingRun, Row]], leaves: GradientBuffers, lengths: Tensor, terms: Tensor
    ) -> Tensor:
        """One forward and backward pass over (run's number, run, row); its share of the losses [R]."""
        table, heads, config = leaves.prompts, leaves.heads, part[0][1].config
        longest = max(run.config.prompt.length for _, run, _ in part)
        width = config.backbone.max_tokens - longest if config.trainer.pad_to_max else None
        of_run = torch.tensor([r for r, _, _ in part], device=table.device)
        # index_select, because the backward pass of table[of_run] adds up in no fixed order on several threads.
        prompts = table[:, table.shape[1] - longest :].index_select(0, of_run)
        mask = torch.arange(longest, device=table.device) >= longest - lengths[of_run, None]
        own = {name: head.index_select(0, of_run) for name, head in heads.items()}
        with self.accelerator.autocast():
            row_losses = self.backbone.losses(prompts, mask.long(), [row for _, _, row in part], own, width)
        # Over the terms of the whole step, so that several passes give what one large batch gives.
        losses = torch.zeros(len(table), device=table.device).index_add(0, of_run, row_losses) / terms
        self.accelerator.backward(losses.sum())
        return losses.detach()

    def maybe_read_losses(self, run: TrainingRun, bar: tqdm) -> None:
        if run.progress.step % READ_EVERY == 0 or run.evaluation_due():
            loss = self.read_losses(run)
            if not math.isfinite(loss):
                message = (
                    f"the loss of {run.name} is {loss} by step {run.progress.step}; "
                    "try a smaller lr, trainer.clip=1, or trainer.precision=fp32"
                )
                run.failure, run.progress.stopped = NonFiniteLoss(message), message
                run.record.checkpoint_path.unlink(missing_ok=True)  # going on from it would fail again
                return
            line = {"loss": loss, "lr": run.config.lr, "network_lr": run.config.trainer.network_lr or run.config.lr}
            if run.progress.training_seconds:
                line["rows_per_second"] = run.progress.trained_rows / run.progress.training_seconds
            run.track(line)
            score = {} if run.progress.best_score is None else {"best": f"{run.progress.best_score:.1f}"}
            bar.set_postfix({"loss": f"{loss:.3f}", **score}, refresh=False)

    def read_losses(self, run: TrainingRun) -> float:
        """Move the losses from the device into the run's progress; the latest one."""
        values = torch.stack(self._losses[run]).tolist() if self._losses[run] else [math.nan]
        self._losses[run].clear()
        for value in values:  # one by one, so that the sum does not depend on when it is read
            run.progress.loss_sum += value
            run.progress.loss_steps += 1
        return values[-1]

    def maybe_evaluate(self, run: TrainingRun, bar: tqdm) -> None:
        if run.failure is not None or not run.evaluation_due():
            return
        self.evaluate(run)
        progress, patience = run.progress, run.config.trainer.patience
        last = progress.history[-1]
        bar.write(
            f"{run.name}: step {progress.step}, loss {last['loss']:.3f}, "
            f"score {last['score']:.2f}, best {progress.best_score:.2f}"
        )
        if progress.step == run.total_steps:
            progress.stopped = "all steps done"
        elif patience is not None and progress.evaluations_since_best >= patience:
            progress.stopped = f"no better score in {patience} evaluations"

    def evaluate(self, run: TrainingRun) -> None:
        """Score prompt and head as they are now, on the rows that choose; keep them if they are the best so far."""
        progress, began = run.progress, time.perf_counter()
        prompt, head = run.soft_prompt.fold() if run.soft_prompt else None, run.head_values()
        result = evaluate(self.backbone, prompt, head, run.select, run.config, self.accelerator)
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
            run.keep_best(prompt, head, result)
        else:
            progress.evaluations_since_best += 1
        run.track({f"eval/{name}": value for name, value in line.items() if value is not None})
        run.record.write_metrics(progress.history)
        progress.seconds += time.perf_counter() - began

    def maybe_checkpoint(self, run: TrainingRun) -> None:
        if run.failure is None and (
            run.progress.step % run.config.trainer.checkpoint_every == 0 or run.evaluation_due()
        ):
            self.checkpoint(run)

    def checkpoint(self, run: TrainingRun) -> None:
        if self._losses[run]:
            self.read_losses(run)
        save_checkpoint(run)


def _at_once_if_asked_twice(caught: list[int]) -> None:
    if len(caught) > 1:
        os._exit(128 + caught[-1])  # the last checkpoint stays
