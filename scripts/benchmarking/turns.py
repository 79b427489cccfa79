"""A contestant's turn: how much it trains and evaluates."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from benchmarking.contestants import Ours
from benchmarking.field import describe_failure
from benchmarking.measuring import Contestant, count_flops, measure_seconds, profile_step, read_allocator
from benchmarking.processes import PackApart
from benchmarking.targets import PAPER, PEFT
from rpt.backbones import T5Backbone

PACK = "ours, pack of"
PAPER_GENERATED = 250  # training batches of an epoch for which the published code also generates


@dataclass(frozen=True)
class Sizes:
    """How much to measure.

    packs: numbers of runs. batches: of 8 rows, a sample on which all train. steps: the least of a turn. paper_batches:
    for trainer=paper, which pads all rows to 512. evaluated, generated: rows, with our argmax rule and with generation.
    by_turns: whether contestants take turns; if not, one follows another, so that each has the whole memory.
    """

    packs: tuple[int, ...] = (2, 4, 8, 16)
    batches: int = 16
    steps: int = 1
    paper_batches: int = 1
    evaluated: int = 32
    generated: int = 12
    by_turns: bool = True


def choose_sizes() -> Sizes:
    """More on a GPU, which is fast and needs several steps to be busy."""
    if not torch.cuda.is_available():
        return Sizes()
    return Sizes(steps=4, paper_batches=4, evaluated=64, generated=64, by_turns=False)


def count_operations(make: Callable[[], Contestant], sizes: Sizes) -> dict[str, Any]:
    """Floating-point operations of our trainer for an average batch."""
    try:
        return {"flops": count_flops(make(), sizes.batches) / sizes.batches}
    except Exception as error:
        return {"failed": describe_failure(error)}


def warm_up(name: str, contestant: Contestant, sizes: Sizes) -> None:
    """Take a whole turn on a GPU, which chooses kernels, reserves memory and records a graph for each shape. On a
    processor the profiled step is enough."""
    if torch.cuda.is_available():
        take_turn(name, contestant, {"train": [], "evaluate": []}, sizes)


def profile(contestant: Contestant, entry: dict[str, Any], with_shares: bool) -> None:
    """Add a profile; a contestant whose profile fails can still be timed."""
    measure = contestant.profile_step if isinstance(contestant, PackApart) else partial(profile_step, contestant)
    try:
        entry |= measure(with_shares)
    except Exception as error:
        entry["unprofiled"] = describe_failure(error)


def read_peak(contestant: Contestant, backbone: T5Backbone, held: int) -> int:
    """Peak bytes of a GPU that the contestant used, including its weights.

    Args:
        held: bytes in use before it was made, including a shared backbone.
    """
    shares = isinstance(contestant, Ours) and contestant.backbone is backbone
    weights = sum(parameter.nbytes for parameter in backbone.model.parameters()) if shares else 0
    return torch.cuda.max_memory_allocated() - held + weights


def take_turn(name: str, contestant: Contestant, entry: dict[str, Any], sizes: Sizes) -> None:
    """Measure seconds of a training batch and, except for packs, rows evaluated per second."""
    trained = sizes.paper_batches if name == PAPER else max(sizes.batches, sizes.steps * contestant.together)
    entry["train"].append(measure_seconds(lambda: contestant.train(trained)) / trained)
    if not name.startswith(PACK):  # runs of a pack are evaluated one by one, as alone
        evaluated = sizes.generated if name in (PAPER, PEFT) else sizes.evaluated
        before = read_allocator() if torch.cuda.is_available() else None
        entry["evaluate"].append(evaluated / measure_seconds(lambda: contestant.evaluate(evaluated)))
        if before is not None:
            entry.setdefault("allocator", []).append({"before": before, "after": read_allocator()})


def add_epochs(results: dict[str, dict[str, Any]], train_rows: int, validation_rows: int, batch_size: int) -> None:
    """Compute the seconds of an epoch with validation, from the rates and the full numbers of rows."""
    steps = math.ceil(train_rows / batch_size)
    for name, entry in results.items():
        if "failed" in entry:
            continue
        if name.startswith(PACK):
            entry["evaluate"] = results["ours"].get("evaluate", [])
        generated = min(PAPER_GENERATED, steps) * batch_size if name == PAPER else 0
        entry["epoch"] = [
            steps * train + (validation_rows + generated) / rate
            for train, rate in zip(entry["train"], entry["evaluate"], strict=False)
        ]
