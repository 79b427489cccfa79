"""How fast: our trainer, alone and in packs, beside the published protocol and peft, on this machine, in one run.

    python scripts/benchmark.py

Writes results/benchmark/<device>.json, .md and .png. Every contestant trains on the same rows (a sample of one epoch's
batches of 8) and evaluates the same rows; they take turns, so that a machine that slows down slows all of them. An
epoch's time is computed from these rates and the task's full numbers of rows. Packs have the processes that
hydra/launcher=packed would give them.

Real BoolQ, RTE and WSC rows where `--rows` holds them, else the miniature's. The T5 is the hub's, or a folder's
(`--t5`); a folder with a tokenizer and a config.json alone gives it random weights, which are as fast.
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from benchmarking.contestants import Ours, Peft
from benchmarking.measuring import count_flops, measure_matmul_rate, measure_seconds, profile_step
from benchmarking.processes import Apart, PackApart
from benchmarking.settings import Setting, Words, make_setting, prepare
from benchmarking.showing import PAPER, PEFT, SHOWN, compare_with_targets, draw, write_markdown
from tqdm import tqdm

from rpt.backbones import T5Backbone
from rpt.backbones.device import name_device, precision_of
from rpt.files import write_atomically
from rpt.records.environment import environment
from rpt.training.run import TrainingRun
from rpt.training.workers import count_processes

PACKS = (2, 4, 8, 16)
BATCHES = 16  # of 8 rows; the largest pack trains them in one step
PAPER_BATCHES = 1  # is enough where every row is padded to 512
PAPER_GENERATED = 250  # training batches of every epoch that the published code generates for, besides validation
EVALUATED, GENERATED = 32, 12  # rows: by our argmax rule, and by those who generate the answers
PACK = "ours, pack of"
Contestant = Ours | Peft | PackApart


def measure(words: Words, rounds: int, bar: tqdm) -> dict[str, Any]:
    """All contestants on one backbone and task."""
    setting = make_setting(*words)
    backbone, precision = setting.backbone(), precision_of(setting.config)  # frozen, so all of ours can have it
    probe = prepare(setting.config, backbone)
    batches = choose_batches(probe)
    apart = Apart(words, batches, PACKS) if count_processes(None, max(PACKS)) > 1 else None
    contestants = make_contestants(setting, probe, batches, backbone, apart)
    # Before the profiles: a process's first steps are not like the others.
    operations = count_flops(contestants["ours"], BATCHES) / BATCHES
    found = {}
    for name, one in contestants.items():
        profile = one.profile_step if isinstance(one, PackApart) else partial(profile_step, one)
        found[name] = {"train": [], "evaluate": []} | profile(name in SHOWN)
    rates = []
    for _ in range(rounds):
        rates.append(measure_matmul_rate(backbone, precision))
        for name, contestant in contestants.items():
            bar.set_postfix_str(f"{setting.name}: {name}", refresh=True)
            take_turn(name, contestant, found[name])
            bar.update()
    if apart:
        apart.end()
    add_epochs(found, probe)
    rate = statistics.median(rates)
    return {
        "backbone": setting.config.backbone.name,
        "weights": setting.weights,
        "task": setting.config.task.name,
        "rows": "SuperGLUE" if setting.config.data.name == "folder" else "miniature",
        "train_rows": len(probe.rows),
        "validation_rows": len(probe.select.examples),
        "precision": precision,
        "mean_tokens": statistics.mean(row.length for row in probe.rows) + setting.config.prompt.length,
        "contestants": found,
        "floor": {"flops": operations, "matmul_flops_per_second": rate, "seconds": operations / rate},
    }


def choose_batches(run: TrainingRun) -> list[np.ndarray]:
    """A sample of an epoch's full batches. The longest comes first, for the peak; the others in no order, as the runs
    of a pack meet."""
    size = run.config.trainer.batch_size
    epoch = [batch for batch in islice(run.steps(), run.steps_per_epoch) if len(batch) == size]
    full = sorted(epoch, key=lambda batch: max(run.rows[i].length for i in batch))
    sample = np.linspace(0, len(full) - 1, BATCHES).astype(int)
    return [full[-1], *(full[i] for i in np.random.default_rng(0).permutation(sample[:-1]))]


def make_contestants(
    setting: Setting, probe: TrainingRun, batches: list[np.ndarray], backbone: T5Backbone, apart: Apart | None
) -> dict[str, Contestant]:
    """By the names that tables show."""
    packs = {f"{PACK} {k}": PackApart(apart, k) if apart else Ours(probe, batches, backbone, k) for k in PACKS}
    paper = prepare(setting.paper, backbone)
    return {
        "ours": Ours(probe, batches, backbone),
        **packs,
        PAPER: Ours(paper, batches, setting.backbone(setting.paper.trainer.dropout)),
        PEFT: Peft(probe, batches, setting.backbone()),
    }


def take_turn(name: str, contestant: Contestant, found: dict[str, Any]) -> None:
    """Seconds of a training batch and, but for packs, rows evaluated per second."""
    trained = PAPER_BATCHES if name == PAPER else BATCHES
    found["train"].append(measure_seconds(lambda: contestant.train(trained)) / trained)
    if not name.startswith(PACK):  # whose runs are evaluated one by one, as alone
        evaluated = GENERATED if name in (PAPER, PEFT) else EVALUATED
        found["evaluate"].append(evaluated / measure_seconds(lambda: contestant.evaluate(evaluated)))


def add_epochs(found: dict[str, dict[str, Any]], run: TrainingRun) -> None:
    """Seconds of an epoch with its validation, from the rates and the full numbers of rows."""
    steps, validation = run.steps_per_epoch, len(run.select.examples)
    for name, of in found.items():
        if name.startswith(PACK):
            of["evaluate"] = found["ours"]["evaluate"]
        generated = min(PAPER_GENERATED, steps) * run.config.trainer.batch_size if name == PAPER else 0
        of["epoch"] = [
            steps * train + (validation + generated) / rate
            for train, rate in zip(of["train"], of["evaluate"], strict=True)
        ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbones", nargs="+", default=["nano", "t5_small"], help="names under configs/backbone")
    parser.add_argument("--tasks", nargs="+", default=["boolq", "rte", "wsc"])
    parser.add_argument(
        "--rows", type=Path, default=Path("../shared/superglue"), help="SuperGLUE in the official layout"
    )
    parser.add_argument("--t5", help="a folder with the T5 of --backbones; default: from the hub")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--precision", default="auto", choices=("auto", "fp32", "bf16"))
    parser.add_argument("--out", type=Path, default=Path("results/benchmark"))
    chosen = parser.parse_args()
    settings = [
        (backbone, task, chosen.rows, chosen.t5, chosen.precision)
        for backbone in chosen.backbones
        for task in chosen.tasks
    ]
    for words in settings:
        make_setting(*words)  # what cannot be had is said before the first is measured
    results = []
    with tqdm(total=len(settings) * chosen.rounds * (3 + len(PACKS)), unit="turn") as bar:
        for words in settings:
            result = measure(words, chosen.rounds, bar)
            results.append(result | {"targets": compare_with_targets(result)})
    record = {
        "device": name_device(), "rounds": chosen.rounds, "batches": BATCHES, "paper_batches": PAPER_BATCHES,
        "processes": count_processes(None, max(PACKS)), "results": results, **environment(),
    }  # fmt: skip
    name = f"{name_device()}-{chosen.precision}".lower().replace(", ", "-").replace(" ", "-")
    image = io.BytesIO()
    draw(record).savefig(image, format="png", dpi=150)
    write_atomically(chosen.out / f"{name}.json", (json.dumps(record, indent=1) + "\n").encode())
    write_atomically(chosen.out / f"{name}.md", write_markdown(record).encode())
    write_atomically(chosen.out / f"{name}.png", image.getvalue())
    print(write_markdown(record))


if __name__ == "__main__":
    main()
