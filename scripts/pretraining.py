"""The training loop, processes and checkpoint that the pre-trainings of the embedded backbones share.

A step sums the gradients of a few randomly drawn batches, each with rows of similar length. Sorting rows by length
saves padding; but a step of one length would be a step of one task, and training would swing from task to task.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, Generic, TypeVar

import torch
import torch.distributed as distributed
import torch.multiprocessing
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn.utils import parameters_to_vector, vector_to_parameters
from tqdm import tqdm
from transformers import PreTrainedModel, PreTrainedTokenizerFast

BATCH, PARTS, POOL = 24, 4, 24 * 4 * 24  # rows of a batch, batches of a step, rows that are sorted together

Model = TypeVar("Model", bound=PreTrainedModel)
TokenRow = TypeVar("TokenRow", bound=tuple[list[int], ...])
Batch = TypeVar("Batch")


class Recipe(ABC, Generic[Model, TokenRow, Batch]):
    """The tokenizer, model, rows and loss of a backbone.

    Attributes:
        name: of the backbone, in messages and in the name of the working folder.
        steps: default number of steps.
        peak_lr, betas, warmup, decay: of AdamW. The learning rate is constant and falls to zero over the last share
            `decay` of the steps.
    """

    name: ClassVar[str]
    steps: ClassVar[int]
    peak_lr: ClassVar[float]
    betas: ClassVar[tuple[float, float]] = (0.9, 0.98)
    warmup: ClassVar[int] = 200
    decay: ClassVar[float] = 0.25

    def __init__(self) -> None:
        self.tokenizer = self.new_tokenizer()

    @abstractmethod
    def new_tokenizer(self) -> PreTrainedTokenizerFast: ...

    @abstractmethod
    def new_model(self) -> Model:
        """Untrained."""

    @abstractmethod
    def pool(self, number: int, draw: random.Random) -> list[TokenRow]:
        """POOL rows of token ids and similar lists; a function of the number only."""

    @abstractmethod
    def batch(self, rows: list[TokenRow]) -> Batch: ...

    @abstractmethod
    def loss(self, model: Model, batch: Batch) -> Tensor: ...

    @abstractmethod
    def scores(self, model: Model) -> dict[str, float]:
        """Accuracy on held-out rows in per cent, by task."""

    def finish(self, model: Model) -> None:
        """Prepare the model for storage, in place: bfloat16 halves the bytes, and its rounding does not affect
        prompts."""
        model.eval().to(torch.bfloat16)

    def size(self, parameter: Tensor) -> float:
        """The factor of a weight's learning rate."""
        return 1.0

    def batches(self, start: int) -> Iterator[list[Batch]]:
        """The PARTS batches of each step from `start` on; a function of the step only."""
        per_pool = POOL // (BATCH * PARTS)
        for number in range(start // per_pool, 10**9):
            draw = random.Random(f"pre-training pool {number}")
            rows = sorted(self.pool(number, draw), key=lambda row: len(row[0]))
            groups = [rows[i : i + BATCH] for i in range(0, POOL, BATCH)]
            draw.shuffle(groups)
            for i in range(start % per_pool if number == start // per_pool else 0, per_pool):
                yield [self.batch(part) for part in groups[i * PARTS : (i + 1) * PARTS]]


def padded(rows: list[list[int]], fill: int) -> Tensor:
    width = max(map(len, rows))
    return torch.tensor([row + [fill] * (width - len(row)) for row in rows])


def save(path: Path, model: PreTrainedModel, optimizer: torch.optim.AdamW, step: int) -> None:
    """Write the whole training state to one file, atomically."""
    tensors: dict[str, Tensor] = {}
    for name, value in model.named_parameters():
        state = optimizer.state[value]
        parts = {"model": value, "exp_avg": state["exp_avg"], "exp_avg_sq": state["exp_avg_sq"]}
        tensors |= {f"{part}.{name}": tensor.detach().contiguous() for part, tensor in parts.items()}
    temporary = path.with_suffix(".tmp")
    save_file(tensors, temporary, metadata={"step": str(step)})
    os.replace(temporary, path)


@torch.no_grad()
def load(path: Path, model: PreTrainedModel, optimizer: torch.optim.AdamW) -> int:
    """Restore what save() wrote; returns the step."""
    with safe_open(path, "pt") as file:
        step = int(file.metadata()["step"])
    tensors = load_file(path)
    for name, value in model.named_parameters():
        value.copy_(tensors[f"model.{name}"])
        moments = {key: tensors[f"{key}.{name}"] for key in ("exp_avg", "exp_avg_sq")}
        optimizer.state[value] = {"step": torch.tensor(float(step)), **moments}
    return step


def pretrain(rank: int, kind: type[Recipe], options: argparse.Namespace) -> None:
    """Train in one of the processes: each takes its share of a step's batches, and gradients are averaged."""
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", rank=rank, world_size=options.processes, init_method=options.meeting_point)
    torch.manual_seed(options.seed)
    recipe = kind()
    model = recipe.new_model().train()
    groups = [{"params": [p], "size": recipe.size(p.detach())} for p in model.parameters()]
    optimizer = torch.optim.AdamW(groups, betas=recipe.betas, weight_decay=0.0, fused=True)
    checkpoint = options.work / "checkpoint.safetensors"
    step = load(checkpoint, model, optimizer) if checkpoint.exists() else 0
    if rank == 0:
        n_parameters = sum(p.numel() for p in model.parameters())
        print(f"{n_parameters:,} parameters, {len(recipe.tokenizer)} pieces, from step {step}", flush=True)

    mean, began = 0.0, time.time()
    bar = tqdm(total=options.steps, initial=step, desc=recipe.name, mininterval=10, disable=rank > 0)
    for parts in recipe.batches(step):
        if step >= options.steps:
            break
        falling = min(1.0, (options.steps - step) / (recipe.decay * options.steps))
        for group in optimizer.param_groups:
            group["lr"] = group["size"] * recipe.peak_lr * min(1.0, (step + 1) / recipe.warmup) * falling
        loss = 0.0
        for batch in parts[rank :: options.processes]:
            with torch.autocast("cpu", torch.bfloat16):
                part = recipe.loss(model, batch) / PARTS
            part.backward()
            loss += part.item() * options.processes
        gradients = parameters_to_vector([p.grad for p in model.parameters()])
        distributed.all_reduce(gradients)
        vector_to_parameters(gradients, [p.grad for p in model.parameters()])
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        step += 1
        mean = loss if mean == 0.0 else 0.98 * mean + 0.02 * loss
        bar.update()
        bar.set_postfix(loss=f"{mean:.3f}", refresh=False)
        if rank == 0 and (step % options.eval_every == 0 or step == options.steps):
            save(checkpoint, model, optimizer, step)
            model.eval()
            with torch.no_grad():
                scores = recipe.scores(model)
            model.train()
            line = {"step": step, "loss": round(mean, 4), "minutes": round((time.time() - began) / 60, 1), **scores}
            with (options.work / "log.jsonl").open("a") as log:
                log.write(json.dumps(line) + "\n")
            bar.write(json.dumps(line))
    bar.close()
    distributed.barrier()
    if rank == 0:
        recipe.finish(model)
        model.save_pretrained(options.out)
        recipe.tokenizer.save_pretrained(options.out)
        for file in options.out.iterdir():
            file.chmod(0o644)  # the library makes weights readable only for their owner


def main(kind: type[Recipe], description: str) -> None:
    """The command line of a pre-training."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for the finished backbone")
    parser.add_argument("--work", type=Path, default=Path(f"{kind.name}-pretraining"), help="for the checkpoint")
    parser.add_argument("--steps", type=int, default=kind.steps)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--eval-every", type=int, default=250)
    # At this size two processes of one thread do twice the work of one process of two threads.
    parser.add_argument("--processes", type=int, default=2, choices=(1, 2, 4), help="at most one per core")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        options.meeting_point = f"file://{folder}/meet"
        torch.multiprocessing.spawn(pretrain, (kind, options), nprocs=options.processes)
