"""One optimizer step of a pack. Prompts, passes, gradients, update.

Shapes: R runs, B rows of a pass, N prompt tokens (of the longest prompt), d model width.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad as pad_tensor

from rpt.backbones import Heads, Row
from rpt.backbones.device import pass_overhead, send
from rpt.backbones.pass_limit import PassLimit
from rpt.data.batches import plan_passes
from rpt.training.engine.graphs import GraphedLosses
from rpt.training.engine.rows_of_runs import RowsOfRuns
from rpt.training.engine.stacked_runs import StackedRuns


@dataclass
class GradientBuffers:
    """Leaves in which the passes of a step accumulate gradients: the prompts [R, N, d] and heads [R, ...] of all runs,
    and the trained weights of the backbone."""

    prompts: Tensor
    heads: Heads
    weights: list[Tensor]

    def forget(self) -> None:
        for leaf in (self.prompts, *self.heads.values(), *self.weights):
            leaf.grad = None


class Piece(NamedTuple):
    """A row of a pass, the number of its run, and the length of that run's prompt."""

    run: int
    prompt_length: int
    row: Row


class Step:
    """One step of all runs, their rows in the same passes. phi runs only once, for any number of rows and passes: the
    passes accumulate gradients in detached buffers, and one backward pass then takes them through phi.

    Args:
        losses: the backbone's.
        stacks: the runs' parameters.
        rows: the row indices of each run, in the order of the stacks.
        scaler: scales the loss for fp16; it skips steps whose gradients overflow.
    """

    def __init__(
        self,
        losses: GraphedLosses,
        stacks: list[StackedRuns],
        rows: list[np.ndarray],
        scaler: torch.amp.GradScaler,
    ):
        self.losses, self.stacks, self.rows, self.scaler = losses, stacks, rows, scaler
        self.backbone = losses.backbone
        self.runs = [run for stack in stacks for run in stack.runs]
        self.config = self.runs[0].config  # only keys that all runs share are read
        self.terms = [sum(run.rows[i].terms for i in indices) for run, indices in zip(self.runs, rows, strict=True)]

    def take(self, limit: PassLimit) -> Tensor:
        """Take the step; returns the mean loss of each run over the terms of its rows, [R], detached."""
        self.backbone.train()
        if len(self.runs) == 1:  # for the backbone's dropout, which is only on in packs of one
            self.runs[0].seed_dropout()
        prompts = [stack.compute_prompts() for stack in self.stacks]
        buffers = self.make_buffers(prompts)
        longest_row = self.config.backbone.max_tokens
        losses = limit.fit(
            lambda max_tokens: self.run_passes(buffers, max_tokens),
            buffers.forget,
            most=sum(map(len, self.rows)) * longest_row,
            least=longest_row,
        )
        self.send_back(buffers, prompts)
        self.update()
        return losses

    def make_buffers(self, prompts: list[Tensor]) -> GradientBuffers:
        """Pad shorter prompts on the left with zeros, which are masked. Heads are concatenated in the same order."""
        longest = max(prompt.shape[1] for prompt in prompts)
        table = torch.cat([pad_tensor(p.detach(), (0, 0, longest - p.shape[1], 0)) for p in prompts])
        heads = {
            name: torch.cat([stack.heads[name].detach() for stack in self.stacks]).requires_grad_()
            for name in self.stacks[0].heads
        }
        return GradientBuffers(table.requires_grad_(longest > 0), heads, list(self.backbone.trained.values()))

    def run_passes(self, buffers: GradientBuffers, max_tokens: float) -> Tensor:
        """Forward and backward over all rows, in passes of at most `max_tokens`; returns the losses [R]."""
        losses = torch.zeros(len(self.runs), device=self.backbone.device)
        for part in self.plan(max_tokens):
            losses += self.run_pass(part, buffers)
        return losses

    def plan(self, max_tokens: float) -> Iterator[list[Piece]]:
        """Yield the passes: at most trainer.batch_size rows of each run, cut where padding would cost more than a
        pass."""
        trainer, longest_row = self.config.trainer, self.config.backbone.max_tokens
        for start in range(0, max(map(len, self.rows)), trainer.batch_size):
            pieces = [
                Piece(r, run.config.prompt.length, run.rows[i])
                for r, (run, indices) in enumerate(zip(self.runs, self.rows, strict=True))
                for i in indices[start : start + trainer.batch_size]
            ]
            # Rows of similar length share a pass, whatever their runs.
            pieces.sort(key=lambda piece: (piece.prompt_length, piece.row.length))
            widths = []
            for _, prompt, row in pieces:
                text = longest_row - prompt if trainer.pad_to_max else row.length
                widths.append((len(row.sequences) * prompt, len(row.sequences) * text))
            for first, last in plan_passes(widths, max_tokens, pass_overhead(self.backbone.device)):
                yield pieces[first:last]

    def run_pass(self, pieces: list[Piece], buffers: GradientBuffers) -> Tensor:
        """One forward and backward pass; returns its share of the losses [R]."""
        table, device = buffers.prompts, self.backbone.device
        longest = max(piece.prompt_length for piece in pieces)
        width = self.config.backbone.max_tokens - longest if self.config.trainer.pad_to_max else None
        rows = [piece.row for piece in pieces]
        multiple = self.losses.choose_multiple(
            sum(len(row.sequences) for row in rows), longest + max(row.length for row in rows)
        )
        batch = self.backbone.collate(rows, longest, width, multiple)
        rows_of_runs = RowsOfRuns([piece.run for piece in pieces], len(table), device)
        mask = torch.arange(longest) >= longest - torch.tensor([[piece.prompt_length] for piece in pieces])
        # Divide by the terms of the whole step, so that several passes equal one large batch.
        shares = send(torch.tensor([1 / self.terms[piece.run] for piece in pieces]), device)
        prompts = rows_of_runs.spread(table[:, table.shape[1] - longest :])
        heads = {name: rows_of_runs.spread(head) for name, head in buffers.heads.items()}
        with self.backbone.autocast():
            losses = self.losses(prompts, send(mask.long(), device), batch, heads)
        torch.autograd.backward(losses, self.scaler.scale(shares))
        return rows_of_runs.add_up(losses.detach() * shares)

    def send_back(self, buffers: GradientBuffers, prompts: list[Tensor]) -> None:
        """Send the accumulated gradients to the stacks, those of prompts backward through phi."""
        table, sizes = buffers.prompts, [len(prompt) for prompt in prompts]
        if table.requires_grad:
            assert table.grad is not None  # from the passes
            gradients = zip(table.grad.split(sizes), prompts, strict=True)
            torch.autograd.backward(prompts, [g[:, table.shape[1] - p.shape[1] :] for g, p in gradients])
        for name, head in buffers.heads.items():
            assert head.grad is not None
            for stack, gradient in zip(self.stacks, head.grad.split(sizes), strict=True):
                stack.heads[name].grad = gradient
        for stack in self.stacks:
            stack.take_weight_gradients()

    def update(self) -> None:
        """Update the parameters of every run."""
        clip = self.config.trainer.clip
        for stack in self.stacks:
            if clip is not None:
                self.scaler.unscale_(stack.optimizer)
                stack.clip_gradients(clip)
            self.scaler.step(stack.optimizer)
            stack.optimizer.zero_grad()
        self.scaler.update()
