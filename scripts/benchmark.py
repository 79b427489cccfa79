"""Measure the speed of our trainer, alone and in packs, of the published protocol and of peft, on this machine.

    python scripts/benchmark.py

Writes results/benchmark/<device>.json, .md and .png after each backbone and task. All contestants train on the same
rows (a sample of the batches of 8 of one epoch) and evaluate the same rows. On a processor they take turns, so that a
slower machine slows all of them; on a GPU each has the whole memory. An epoch's time is computed from these rates and
the task's full numbers of rows. Packs use as many processes as hydra/launcher=packed would. If a contestant fails, its
line has the reason.

Rows of BoolQ, RTE and WSC are real if `--rows` has them, else from the miniature. The T5 is from the hub or a folder
(`--t5`). A folder with only a tokenizer and a config.json gives random weights, which are as fast; so does `--random`,
which needs neither hub nor folder.
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
from benchmarking.settings import Request, Setting, make_setting, prepare
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
from rpt.files import check_folder, write_atomically
from rpt.records.environment import environment
from rpt.training.engine import graphs
from rpt.training.run.run import TrainingRun
from rpt.training.sweep.workers import count_processes

MIN_ROUNDS = 2  # however long they take


def measure(request: Request, sizes: Sizes, rounds: int, seconds: float, bar: tqdm) -> dict[str, Any]:
    """All contestants on one backbone and task.

    Args:
        rounds: maximal number; fewer if they do not fit into the seconds, but at least `MIN_ROUNDS`.
    """
    ends = time.monotonic() + seconds
    setting = make_setting(request)
    backbone, precision = setting.backbone(), precision_of(setting.config)  # frozen, so our contestants share it
    probe = prepare(setting.config, backbone)
    batches = choose_batches(probe, sizes.batches)
    apart = Apart(request, batches, sizes.packs) if count_processes(None, max(sizes.packs)) > 1 else None
    floor = count_operations(lambda: Ours(probe, batches, backbone, graphs=False), sizes)
    free_memory()
    rates = [measure_matmul_rate(backbone, precision)]
    makers, field = list_contestants(setting, probe, batches, backbone, sizes, apart), Field()
    contestant: Contestant | None = None
    groups = [list(makers)] if sizes.by_turns else [[name] for name in makers]
    for number, names in enumerate(groups):
        held = hold_memory()
        for name in names:
            field.enter(name, makers[name])
        for name, contestant in field:  # the first steps of a process are not typical
            with field.attempt(name):
                warm_up(name, contestant, sizes)
                profile(contestant, field.results[name], name in SHOWN)
                if torch.cuda.is_available():
                    field.results[name]["peak_bytes"] = read_peak(contestant, backbone, held)
        now = time.monotonic()
        group_ends = now + (ends - now) / (len(groups) - number)
        for done in range(1, rounds + 1):
            began = time.monotonic()
            for name, contestant in field:
                bar.set_postfix_str(f"{setting.name}: {name}", refresh=True)
                with field.attempt(name):
                    take_turn(name, contestant, field.results[name], sizes)
                bar.update()
            if sizes.by_turns or done == 1:
                rates.append(measure_matmul_rate(backbone, precision))
            now = time.monotonic()
            if done >= MIN_ROUNDS and now + (now - began) > group_ends:
                break
        contestant = None  # the variable of the loops would keep it in memory
        field.leave()
    if apart:
        apart.end()
    train_rows, validation_rows = setting.count_rows()
    add_epochs(field.results, train_rows, validation_rows, setting.config.trainer.batch_size)
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
        "rounds": min((len(entry["train"]) for entry in field.results.values() if "failed" not in entry), default=0),
        "contestants": field.results,
        "floor": floor,
    }
    return result | {"targets": compare_with_targets(result)}


def choose_batches(run: TrainingRun, batches: int) -> list[np.ndarray]:
    """A sample of an epoch's full batches: first the longest, for the peak, then the others in random order, as in a
    pack."""
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
    """Functions that make the contestants, by their names in tables."""

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
    """The whole record, which is also written after each setting."""
    check_folder(chosen.out, "--out")
    ends = time.monotonic() + 60 * chosen.minutes
    sizes = choose_sizes()
    settings = [
        Request(backbone, task, chosen.rows, chosen.t5, chosen.precision, chosen.random)
        for task in chosen.tasks
        for backbone in chosen.backbones
    ]
    for request in settings:
        make_setting(request)  # raises before the first measurement if something is missing
    record = {
        "device": name_device(), "batches": sizes.batches, "paper_batches": sizes.paper_batches,
        "processes": count_processes(None, max(sizes.packs)), "results": [], **environment(),
    }  # fmt: skip
    name = chosen.out / f"{name_device()}-{chosen.precision}".lower().replace(", ", "-").replace(" ", "-")
    longest = 0.0
    with tqdm(total=len(settings) * chosen.rounds * (3 + len(sizes.packs)), unit="turn", disable=None) as bar:
        for request in settings:
            began = time.monotonic()
            if began + longest > ends:
                result = {"failed": f"left out, for the {chosen.minutes:g} minutes are over"}
            else:
                try:
                    with mock.patch.object(graphs, "RECORD_AFTER", 1):  # else it reaches full speed later
                        result = measure(request, sizes, chosen.rounds, chosen.seconds, bar)
                except Exception as error:
                    result = {"failed": describe_failure(error)}
            free_memory()
            longest = max(longest, time.monotonic() - began)
            record["results"].append({"backbone": request.backbone, "task": request.task} | result)
            bar.write(f"{request.backbone} {request.task}: {time.monotonic() - began:.0f} s")
            write_atomically(Path(f"{name}.json"), (json.dumps(record, indent=1) + "\n").encode())
            write_atomically(Path(f"{name}.md"), write_markdown(record).encode())
    image = io.BytesIO()
    draw(record).savefig(image, format="png", dpi=150)
    write_atomically(Path(f"{name}.png"), image.getvalue())
    return record


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--backbones", nargs="+", default=["nano", "t5_small"], help="names under configs/backbone")
    add("--tasks", nargs="+", default=["boolq", "rte", "wsc"])
    add("--rows", type=Path, default=Path("../shared/superglue"), help="SuperGLUE in the official layout")
    add("--t5", help="a folder with the T5 of --backbones, or with its tokenizer; default: from the hub")
    add("--random", action="store_true", help="random weights of the T5's shape")
    add("--rounds", type=int, default=3)
    add("--seconds", type=float, default=math.inf, help="of a backbone and task: fewer rounds if necessary")
    add("--minutes", type=float, default=math.inf, help="in all: backbones and tasks that do not fit are left out")
    add("--precision", default="auto", choices=("auto", "fp32", "bf16"))
    add("--out", type=Path, default=Path("results/benchmark"))
    return parser.parse_args(arguments)


def main() -> None:
    print(write_markdown(run(parse())))


if __name__ == "__main__":
    main()
