"""How fast: our trainer, alone and in packs, beside the published protocol and peft, on this machine, in one run.

    python scripts/benchmark.py

Writes results/benchmark/<device>.json, .md and .png, after each backbone and task. Every contestant trains on the same
rows (a sample of one epoch's batches of 8) and evaluates the same rows. On a processor they take turns, so that a
machine that slows down slows all of them; on a GPU each has the memory to itself. An epoch's time is computed from
these rates and the task's full numbers of rows. Packs have the processes that hydra/launcher=packed would give them. A
contestant that fails leaves a line that says why.

Real BoolQ, RTE and WSC rows where `--rows` holds them, else the miniature's. The T5 is the hub's, or a folder's
(`--t5`); a folder with a tokenizer and a config.json alone gives it random weights, which are as fast, and so does
`--random`, which needs neither hub nor folder.
"""

from __future__ import annotations

import argparse
import io
import json
import math
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from benchmarking.contestants import Ours
from benchmarking.field import Field, describe_failure, free_memory
from benchmarking.measuring import Contestant, hold_memory, measure_matmul_rate
from benchmarking.processes import Apart, PackApart
from benchmarking.settings import Setting, Words, make_setting, prepare
from benchmarking.showing import SHOWN, draw, write_markdown
from benchmarking.targets import compare_with_targets
from benchmarking.turns import (
    PACK,
    PAPER,
    PEFT,
    Sizes,
    add_epochs,
    choose_sizes,
    count_operations,
    profile,
    read_peak,
    take_turn,
    warm_up,
)
from tqdm import tqdm

from rpt.backbones import T5Backbone
from rpt.backbones.device import name_device, precision_of
from rpt.files import write_atomically
from rpt.records.environment import environment
from rpt.training.engine import graphs
from rpt.training.run.run import TrainingRun
from rpt.training.sweep.workers import count_processes

LEAST_ROUNDS = 2  # whatever time they take


def measure(words: Words, sizes: Sizes, rounds: int, seconds: float, bar: tqdm) -> dict[str, Any]:
    """All contestants on one backbone and task.

    Args:
        rounds: so many, or as many as fit into the seconds, `LEAST_ROUNDS` at the least.
    """
    ends = time.monotonic() + seconds
    setting = make_setting(words)
    backbone, precision = setting.backbone(), precision_of(setting.config)  # frozen, so all of ours can have it
    probe = prepare(setting.config, backbone)
    batches = choose_batches(probe, sizes.batches)
    apart = Apart(words, batches, sizes.packs) if count_processes(None, max(sizes.packs)) > 1 else None
    floor = count_operations(lambda: Ours(probe, batches, backbone, graphs=False), sizes)
    free_memory()
    rates = [measure_matmul_rate(backbone, precision)]
    makers, field = list_contestants(setting, probe, batches, backbone, sizes, apart), Field()
    groups = [list(makers)] if sizes.by_turns else [[name] for name in makers]
    for number, names in enumerate(groups):
        held = hold_memory()
        for name in names:
            field.enter(name, makers[name])
        for name, contestant in field:  # a process's first steps are not like the others
            with field.attempt(name):
                warm_up(name, contestant, sizes)
                profile(contestant, field.found[name], name in SHOWN)
                if torch.cuda.is_available():
                    field.found[name]["peak_bytes"] = read_peak(contestant, backbone, held)
        now = time.monotonic()
        group_ends = now + (ends - now) / (len(groups) - number)
        for done in range(1, rounds + 1):
            began = time.monotonic()
            for name, contestant in field:
                bar.set_postfix_str(f"{setting.name}: {name}", refresh=True)
                with field.attempt(name):
                    take_turn(name, contestant, field.found[name], sizes)
                bar.update()
            if sizes.by_turns or done == 1:
                rates.append(measure_matmul_rate(backbone, precision))
            now = time.monotonic()
            if done >= LEAST_ROUNDS and now + (now - began) > group_ends:
                break
        contestant = None  # for the loop holds on to it
        field.leave()
    if apart:
        apart.end()
    train_rows, validation_rows = setting.count_rows()
    add_epochs(field.found, train_rows, validation_rows, setting.config.trainer.batch_size)
    if "flops" in floor:
        rate = statistics.median(rates)
        floor |= {"matmul_flops_per_second": rate, "seconds": floor["flops"] / rate}
    result = {
        "backbone": setting.config.backbone.name,
        "weights": setting.weights,
        "task": setting.config.task.name,
        "rows": "SuperGLUE" if setting.config.data.name == "folder" else "miniature",
        "train_rows": train_rows,
        "validation_rows": validation_rows,
        "precision": precision,
        "mean_tokens": statistics.mean(row.length for row in probe.rows) + setting.config.prompt.length,
        "rounds": min((len(of["train"]) for of in field.found.values() if "failed" not in of), default=0),
        "contestants": field.found,
        "floor": floor,
    }
    return result | {"targets": compare_with_targets(result)}


def choose_batches(run: TrainingRun, batches: int) -> list[np.ndarray]:
    """A sample of an epoch's full batches. The longest comes first, for the peak; the others in no order, as the runs
    of a pack meet."""
    size = run.config.trainer.batch_size
    epoch = [batch for batch in islice(run.steps(), run.steps_per_epoch) if len(batch) == size]
    full = sorted(epoch, key=lambda batch: max(run.rows[i].length for i in batch))
    sample = np.linspace(0, len(full) - 1, batches).astype(int)
    return [full[-1], *(full[i] for i in np.random.default_rng(0).permutation(sample[:-1]))]


def list_contestants(
    setting: Setting,
    probe: TrainingRun,
    batches: list[np.ndarray],
    backbone: T5Backbone,
    sizes: Sizes,
    apart: Apart | None,
) -> dict[str, Callable[[], Contestant]]:
    """By the names that tables show, how to make them."""

    def make_pack(runs: int) -> Contestant:
        return PackApart(apart, runs) if apart else Ours(probe, batches, backbone, runs)

    def make_paper() -> Contestant:
        return Ours(prepare(setting.paper, backbone), batches, setting.backbone(setting.paper.trainer.dropout))

    def make_peft() -> Contestant:
        from benchmarking.peft_trainer import Peft

        return Peft(probe, batches, setting.backbone())

    return {
        "ours": lambda: Ours(probe, batches, backbone),
        **{f"{PACK} {runs}": partial(make_pack, runs) for runs in sizes.packs},
        PAPER: make_paper,
        PEFT: make_peft,
    }


def run(chosen: argparse.Namespace) -> dict[str, Any]:
    """The whole record; it is written after each setting."""
    ends = time.monotonic() + 60 * chosen.minutes
    sizes = choose_sizes()
    settings = [
        Words(backbone, task, chosen.rows, chosen.t5, chosen.precision, chosen.random)
        for task in chosen.tasks
        for backbone in chosen.backbones
    ]
    for words in settings:
        make_setting(words)  # what cannot be had is said before the first is measured
    record = {
        "device": name_device(), "batches": sizes.batches, "paper_batches": sizes.paper_batches,
        "processes": count_processes(None, max(sizes.packs)), "results": [], **environment(),
    }  # fmt: skip
    name = chosen.out / f"{name_device()}-{chosen.precision}".lower().replace(", ", "-").replace(" ", "-")
    longest = 0.0
    with tqdm(total=len(settings) * chosen.rounds * (3 + len(sizes.packs)), unit="turn", disable=None) as bar:
        for words in settings:
            began = time.monotonic()
            if began + longest > ends:
                result = {"failed": f"left out, for the {chosen.minutes:g} minutes are over"}
            else:
                try:
                    with mock.patch.object(graphs, "RECORD_AFTER", 1):  # else it is later at its speed
                        result = measure(words, sizes, chosen.rounds, chosen.seconds, bar)
                except Exception as error:
                    result = {"failed": describe_failure(error)}
            free_memory()
            longest = max(longest, time.monotonic() - began)
            record["results"].append({"backbone": words.backbone, "task": words.task} | result)
            bar.write(f"{words.backbone} {words.task}: {time.monotonic() - began:.0f} s")
            write_atomically(Path(f"{name}.json"), (json.dumps(record, indent=1) + "\n").encode())
            write_atomically(Path(f"{name}.md"), write_markdown(record).encode())
    image = io.BytesIO()
    draw(record).savefig(image, format="png", dpi=150)
    write_atomically(Path(f"{name}.png"), image.getvalue())
    return record


def parse(words: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--backbones", nargs="+", default=["nano", "t5_small"], help="names under configs/backbone")
    add("--tasks", nargs="+", default=["boolq", "rte", "wsc"])
    add("--rows", type=Path, default=Path("../shared/superglue"), help="SuperGLUE in the official layout")
    add("--t5", help="a folder with the T5 of --backbones, or with its tokenizer; default: from the hub")
    add("--random", action="store_true", help="random weights of the T5's shape")
    add("--rounds", type=int, default=3)
    add("--seconds", type=float, default=math.inf, help="of a backbone and task: fewer rounds rather than more")
    add("--minutes", type=float, default=math.inf, help="in all: backbones and tasks that do not fit are left out")
    add("--precision", default="auto", choices=("auto", "fp32", "bf16"))
    add("--out", type=Path, default=Path("results/benchmark"))
    return parser.parse_args(words)


def main() -> None:
    print(write_markdown(run(parse())))


if __name__ == "__main__":
    main()
