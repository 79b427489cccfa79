"""How fast a T5 answers beside how fast it trains, in rows per second of processor time.

    python scripts/evaluation_rate.py --rows FOLDER

Training and evaluation take turns on one thread and the same real rows, so that a busy machine slows both. Writes
results/benchmark/evaluation.json: for each task the rates of a run alone and of a pack of two.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from benchmark import choose_batches
from benchmarking.contestants import Ours
from benchmarking.settings import Request, make_setting, prepare
from tqdm import tqdm

from rpt.files import check_writable, write_atomically
from rpt.records.environment import environment

BATCHES, EVALUATED = 6, 56  # of 8 rows; rows
PACKS = (1, 2)


def measure_rate(work: Callable[[int], None], amount: int, rows: int) -> float:
    """Rows per second of processor time."""
    start = time.process_time()
    work(amount)
    return rows / (time.process_time() - start)


def measure(task: str, rows: Path, backbone: str, rounds: int, bar: tqdm) -> dict[str, Any]:
    """For each size of pack: median rows per second of training and of evaluation, and their ratio by round."""
    setting = make_setting(Request(backbone, task, rows, None, "fp32"))
    loaded = setting.backbone()
    run = prepare(setting.config, loaded)
    batches = choose_batches(run, BATCHES)
    contestants = {size: Ours(run, batches, loaded, size) for size in PACKS}
    rates: dict[int, list[tuple[float, float]]] = {size: [] for size in PACKS}
    for round_number in range(rounds + 1):
        for size, contestant in contestants.items():
            trained = measure_rate(contestant.train, BATCHES, 8 * BATCHES)
            answered = measure_rate(contestant.evaluate, EVALUATED, EVALUATED)
            if round_number:  # the first steps of a process are slower
                rates[size].append((trained, answered))
            bar.update()
    return {
        "task": task,
        "packs": {
            str(size): {
                "train": statistics.median(trained for trained, _ in pairs),
                "evaluate": statistics.median(answered for _, answered in pairs),
                "ratios": [answered / trained for trained, answered in pairs],
            }
            for size, pairs in rates.items()
        },
    }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=Path, default=Path("../shared/superglue"), help="SuperGLUE's own folders")
    parser.add_argument("--backbone", default="flan_small")
    parser.add_argument("--tasks", nargs="+", default=["cb", "rte"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("results/benchmark/evaluation.json"))
    options = parser.parse_args(arguments)
    check_writable(options.out, "--out")
    torch.set_num_threads(1)
    with tqdm(total=len(options.tasks) * (options.rounds + 1) * len(PACKS), unit="turn", disable=None) as bar:
        results = [measure(task, options.rows, options.backbone, options.rounds, bar) for task in options.tasks]
    record = {"backbone": options.backbone, "results": results, **environment()}
    write_atomically(options.out, (json.dumps(record, indent=1) + "\n").encode())
    print(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
