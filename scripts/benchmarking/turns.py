"""What a contestant does in its turn, and how much of it."""

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
PAPER_GENERATED = 250  # training batches of every epoch that the published code generates for, besides validation


@dataclass(frozen=True)
class Sizes:
    """How much is measured at a time.

    packs: runs of each. batches: of 8 rows, the sample that all train on. steps: a turn has at least so many.
    paper_batches: of trainer=paper, whose rows are all padded to 512. evaluated, generated: rows, by our argmax rule
    and by those who generate the answers. by_turns: or one contestant after another, so that each has all the memory.
    """

    packs: tuple[int, ...] = (2, 4, 8, 16)
    batches: int = 16
    steps: int = 1
    paper_batches: int = 1
    evaluated: int = 32
    generated: int = 12
    by_turns: bool = True


def choose_sizes() -> Sizes:
    """A GPU is fast, and wants full batches and several steps to keep it busy."""
    if not torch.cuda.is_available():
        return Sizes()
    return Sizes(steps=4, paper_batches=4, evaluated=64, generated=64, by_turns=False)


def count_operations(make: Callable[[], Contestant], sizes: Sizes) -> dict[str, Any]:
    """Of a batch on average, by our trainer's own."""
    try:
        return {"flops": count_flops(make(), sizes.batches) / sizes.batches}
    except Exception as error:
        return {"failed": describe_failure(error)}


def warm_up(name: str, contestant: Contestant, sizes: Sizes) -> None:
    """On a GPU a whole turn: each shape has its products to be chosen, its memory to be reserved and its graph to be
    recorded. On a processor the profiled step is enough."""
    if torch.cuda.is_available():
        take_turn(name, contestant, {"train": [], "evaluate": []}, sizes)


def profile(contestant: Contestant, found: dict[str, Any], with_shares: bool) -> None:
    """One whose profile fails can still be timed."""
    of = contestant.profile_step if isinstance(contestant, PackApart) else partial(profile_step, contestant)
    try:
        found |= of(with_shares)
    except Exception as error:
        found["unprofiled"] = describe_failure(error)


def read_peak(contestant: Contestant, backbone: T5Backbone, held: int) -> int:
    """Bytes of a GPU that it has taken at most, with all its weights.

    Args:
        held: before it was made; if it shares the backbone, with that.
    """
    shares = isinstance(contestant, Ours) and contestant.backbone is backbone
    weights = sum(parameter.nbytes for parameter in backbone.model.parameters()) if shares else 0
    return torch.cuda.max_memory_allocated() - held + weights


def take_turn(name: str, contestant: Contestant, found: dict[str, Any], sizes: Sizes) -> None:
    """Seconds of a training batch and, but for packs, rows evaluated per second."""
    trained = sizes.paper_batches if name == PAPER else max(sizes.batches, sizes.steps * contestant.together)
    found["train"].append(measure_seconds(lambda: contestant.train(trained)) / trained)
    if not name.startswith(PACK):  # whose runs are evaluated one by one, as alone
        evaluated = sizes.generated if name in (PAPER, PEFT) else sizes.evaluated
        before = read_allocator() if torch.cuda.is_available() else None
        found["evaluate"].append(evaluated / measure_seconds(lambda: contestant.evaluate(evaluated)))
        if before is not None:
            found.setdefault("allocator", []).append({"before": before, "after": read_allocator()})


def add_epochs(found: dict[str, dict[str, Any]], train_rows: int, validation_rows: int, batch_size: int) -> None:
    """Seconds of an epoch with its validation, from the rates and the full numbers of rows."""
    steps = math.ceil(train_rows / batch_size)
    for name, of in found.items():
        if "failed" in of:
            continue
        if name.startswith(PACK):
            of["evaluate"] = found["ours"].get("evaluate", [])
        generated = min(PAPER_GENERATED, steps) * batch_size if name == PAPER else 0
        of["epoch"] = [
            steps * train + (validation_rows + generated) / rate
            for train, rate in zip(of["train"], of["evaluate"], strict=False)
        ]
