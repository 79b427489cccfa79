"""Compare the measured ratios with their targets."""

from __future__ import annotations

import statistics
from typing import Any

import numpy as np
import torch

PAPER, PEFT = "trainer=paper", "peft + Seq2SeqTrainer"


def compare_with_targets(result: dict[str, Any]) -> list[dict[str, Any]]:
    """The ratios with their targets on this device. Each compares round by round, as far as both contestants have
    rounds; `ratio` is None if one of them failed."""
    cuda, task = torch.cuda.is_available(), result["task"]
    rounds = max((len(entry.get("train", [])) for entry in result["contestants"].values()), default=0)
    working = {name: entry for name, entry in result["contestants"].items() if "failed" not in entry}
    floor = {"train": [result["floor"]["seconds"]] * rounds} if "seconds" in result["floor"] else None
    single, pack = working.get("ours"), working.get("ours, pack of 8")
    wanted = {"boolq": 8, "wsc": 15} if cuda else {"boolq": 5, "rte": 8, "wsc": 15}
    asked = [
        ("epoch, trainer=paper / ours", working.get(PAPER), single, "epoch", wanted.get(task), "at least"),
        ("training, peft / ours", working.get(PEFT), single, "train", 2 if cuda else 1.3, "at least"),
        ("training, 8 alone / pack of 8", single, pack, "train", 4 if cuda else 1.3, "at least"),
        ("training, ours / floor", single, floor, "train", None if cuda else 2, "at most"),
        ("training, pack of 8 / floor", pack, floor, "train", 3 if cuda else None, "at most"),
    ]
    return [
        {"what": what, "target": target, "kind": kind} | _compare(slow, fast, key, target, kind)
        for what, slow, fast, key, target, kind in asked
    ]


def _compare(slow: dict | None, fast: dict | None, key: str, target: float | None, kind: str) -> dict[str, Any]:
    if slow is None or fast is None:
        return {"ratio": None, "met": None}
    ratios = [a / b for a, b in zip(slow[key], fast[key], strict=False)]
    met = None if target is None else (statistics.median(ratios) >= target) == (kind == "at least")
    return {"ratio": summarise(ratios), "met": met}


def summarise(values: list[float]) -> dict[str, float]:
    """Median and quartiles."""
    low, high = np.percentile(values, [25, 75])
    return {"median": statistics.median(values), "low": float(low), "high": float(high)}
