"""Kill runs at random moments, start them again, and check that they end like an uninterrupted run.

    python scripts/kill_runs.py [--kills 100] [--seed 0] [--sweeps t5 bert lstm packed]

Each sweep first trains once without a kill. Then it trains repeatedly: it is killed (SIGKILL, with all its processes)
at a random moment after its first record was claimed, and started again by the same command until it ends. The kills
are divided among the sweeps. Every record must exist and equal that of the first training: alone to the last bit; in a
pack, which a kill may compose differently, up to rounding. There must be no other files. Ends with code 1 otherwise.

The killed processes are forks of this one, which has imported everything: a kill takes two seconds instead of ten.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NoReturn

import psutil
from safetensors.numpy import load

import rpt.train
import rpt.training.sweep.sweep  # not used here, but the forked processes would import it one by one

COMMON = ["data=mini", "tracking=none", "trainer.precision=fp32", "data.shots=8", "trainer.checkpoint_every=2"]
COMMON += [
    "backbone.max_tokens=64",
    "trainer.eval_batch_size=256",
    "trainer.eval_every=4",
    "results=results",
    "data.cache=../cache",
]
SWEEPS = {
    "t5": ["task=cb", "backbone=nano", "prompt=residual", "trainer.epochs=8"],
    "bert": ["task=cb", "backbone=nano_bert", "prompt=residual", "trainer.epochs=8"],
    "lstm": ["task=cb", "backbone=nano", "prompt=lstm", "trainer.epochs=8"],
    "packed": ["-m", "hydra/launcher=packed", "hydra.sweep.dir=sweep", "task=cb", "backbone=nano", "lr=0.1,0.3",
               "prompt=vanilla,residual", "trainer.epochs=6"],
}  # fmt: skip
VARYING = ("created", "seconds", "rows_per_second", "peak_memory_bytes", "trained_together", "digests", "digest")
CONSOLE = "console.log"  # has the time of each line, and is not part of the record
ROUNDING = 1e-3  # of a loss, between packs with different runs

Record = dict[str, Any]


class Trial:
    """One sweep in a separate folder, from start to end."""

    def __init__(self, name: str, folder: Path):
        self.arguments = [*COMMON, *SWEEPS[name]]
        self.folder = folder
        folder.mkdir(parents=True)

    def run(self, seconds: float = math.inf) -> float | None:
        """Run the command, and kill it `seconds` after it has claimed a record. Returns its seconds from then on; None
        if it was killed.

        Raises:
            RuntimeError: it failed without a kill.
        """
        process = psutil.Process(os.fork() or self._train())
        while process.status() != psutil.STATUS_ZOMBIE and not list(self.folder.glob("results/runs/*/*/*/*/.lock")):
            time.sleep(0.005)
        began = time.perf_counter()
        while process.status() != psutil.STATUS_ZOMBIE:
            if time.perf_counter() - began > seconds:
                for one in (*process.children(recursive=True), process):
                    one.kill()
                os.waitpid(process.pid, 0)
                return None
            time.sleep(0.005)
        _, status = os.waitpid(process.pid, 0)
        if status:
            raise RuntimeError(f"a run ended with code {os.waitstatus_to_exitcode(status)}: {self.folder / 'log'}")
        return time.perf_counter() - began

    def _train(self) -> NoReturn:
        """Run the command in the forked process, in the trial's folder, with its output in a file."""
        code = 1
        try:
            os.chdir(self.folder)
            log = os.open("log", os.O_CREAT | os.O_APPEND | os.O_WRONLY)
            os.dup2(log, 1)
            os.dup2(log, 2)
            sys.argv[1:] = self.arguments
            rpt.train.main()
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
        finally:
            os._exit(code)

    def records(self) -> dict[str, Record]:
        """The content of each run's folder, by the run's id."""
        return {path.name: _read(path) for path in self.folder.glob("results/runs/*/*/*/*")}


def _read(folder: Path) -> Record:
    read: Record = {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.name != CONSOLE}
    for name in (name for name in read if name.endswith(".safetensors")):  # their headers have keys in any order
        read[name] = {key: (value.shape, value.tobytes()) for key, value in load(read[name]).items()}
    result = json.loads(read["result.json"]) if "result.json" in read else {}
    read["result.json"] = {key: value for key, value in result.items() if key not in VARYING}
    return read


def describe_difference(record: Record | None, unbroken: Record, up_to_rounding: bool) -> str | None:
    """How a record differs from that of the unbroken run; None if it does not."""
    if record is None:
        return "it is lost"
    if set(record) != set(unbroken):
        return f"its files differ: {' '.join(sorted(set(record) ^ set(unbroken)))}"
    if up_to_rounding:
        ours, theirs = (
            [json.loads(line) for line in files["metrics.jsonl"].splitlines()] for files in (record, unbroken)
        )
        if [line["step"] for line in ours] != [line["step"] for line in theirs]:
            return "it was evaluated at other steps"
        worst = max(abs(one["loss"] - other["loss"]) for one, other in zip(ours, theirs, strict=True))
        return f"a loss differs by {worst:.2g}" if worst > ROUNDING else None
    different = [name for name, content in unbroken.items() if record[name] != content]
    if "result.json" in different:
        ours, theirs = record["result.json"], unbroken["result.json"]
        different += [key for key in ours | theirs if ours.get(key) != theirs.get(key)]
    return f"other content: {' '.join(different)}" if different else None


def kill_sweep(name: str, kills: int, folder: Path, chance: random.Random) -> list[str]:
    """Kill a sweep `kills` times; returns a line for each wrong record."""
    unbroken = Trial(name, folder / f"{name}-unbroken")
    whole = unbroken.run()
    assert whole is not None  # nothing killed it
    expected, faults, killed, ended, reported = unbroken.records(), [], 0, 0, 0
    while killed < kills:
        trial, kills_of_trial = Trial(name, folder / f"{name}-{ended}"), 0
        while True:
            wait = chance.uniform(0, whole) if killed < kills else math.inf
            if trial.run(wait) is not None:
                break
            killed, kills_of_trial = killed + 1, kills_of_trial + 1
        ended += 1
        records = trial.records()
        for record in sorted(expected):
            fault = describe_difference(records.get(record), expected[record], up_to_rounding=name == "packed")
            if fault is not None:
                faults.append(f"{name}, killed {kills_of_trial} times, {record}: {fault}")
        print(*faults[reported:], sep="\n", end="\n" * (len(faults) > reported))
        reported = len(faults)
        print(f"{name}: killed {killed} of {kills}, ended {ended} times, {len(faults)} faults", flush=True)
    return faults


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sweeps", nargs="+", choices=list(SWEEPS), default=list(SWEEPS))
    chosen = parser.parse_args()
    chance, n = random.Random(chosen.seed), len(chosen.sweeps)
    with tempfile.TemporaryDirectory() as folder:
        shares = {name: (chosen.kills + i) // n for i, name in enumerate(chosen.sweeps)}
        faults = [line for name, k in shares.items() for line in kill_sweep(name, k, Path(folder), chance)]
    print(*faults, f"{sum(shares.values())} kills, {len(faults)} records lost or different", sep="\n")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
