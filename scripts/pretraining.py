"""What the pre-trainings of the embedded backbones share: the loop, its processes, its checkpoint.

A step sums the gradients of a few batches of equal row length, drawn at random: sorted rows save padding, but a step of
one length alone would be a step of one task alone, and the training would swing from task to task.
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
from typing import Any, ClassVar

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


class Recipe(ABC):
    """What one backbone is made of.

    Attributes:
        name: in messages and of the working folder.
        steps: unless told otherwise.
        peak_lr, betas, warmup, decay: AdamW's. Constant, and falling to zero over the last share `decay`.
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
    def new_model(self) -> PreTrainedModel:
        """Untrained."""

    @abstractmethod
    def pool(self, number: int, draw: random.Random) -> list[tuple[list[int], ...]]:
        """POOL rows of token ids (and the like); a function of the number alone. Sorted by the length of the first."""

    @abstractmethod
    def batch(self, rows: list[tuple[list[int], ...]]) -> Any: ...

    @abstractmethod
    def loss(self, model: PreTrainedModel, batch: Any) -> Tensor: ...

    @abstractmethod
    def scores(self, model: PreTrainedModel) -> dict[str, float]:
        """Per cent of held-out rows that are right, by task."""

    def finish(self, model: PreTrainedModel) -> None:
        """Make it ready to be stored, in place: in bfloat16, which is half the bytes, and the rounding is far below
        what a prompt can feel."""
        model.eval().to(torch.bfloat16)

    def size(self, parameter: Tensor) -> float:
        """What the learning rate of a weight is multiplied by."""
        return 1.0

    def batches(self, start: int) -> Iterator[list[Any]]:
        """Steps from `start` on, each PARTS batches; a function of the step alone."""
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
    """The whole training state in one file, atomically."""
    tensors = {}
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
    """One of the processes; each takes its share of a step's batches, and their gradients are averaged."""
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
            file.chmod(0o644)  # the library writes weights for their owner alone


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
