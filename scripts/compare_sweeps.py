"""Train a sweep run by run and in packs, and compare times and scores.

    python scripts/compare_sweeps.py outputs/figure4-packed +experiment=figure4 scale=mini trainer.max_steps=120

The comparison of both commands, without and with hydra/launcher=packed, is written as .json and .md. The seconds are
those of whole commands, from start to end, so the machine should be idle otherwise.
"""

from __future__ import annotations

import argparse
import json
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from rpt.files import check_writable, write_atomically
from rpt.records.environment import environment
from rpt.records.run_records import RunRecords

WAYS: dict[str, list[str]] = {"alone": [], "packed": ["hydra/launcher=packed"]}


def train(overrides: list[str]) -> float:
    """Train the sweep; returns its seconds.

    Raises:
        SystemExit: the sweep failed.
    """
    command = [sys.executable, "-m", "rpt.train", "-m", *overrides]
    print(shlex.join(["python", *command[1:]]), flush=True)
    began = time.perf_counter()
    done = subprocess.run(command)
    if done.returncode:
        raise SystemExit(f"The sweep ended with code {done.returncode}; there is nothing to compare.")
    return time.perf_counter() - began


def compare(sweep: list[str]) -> dict[str, Any]:
    """Train the sweep in both ways, and collect the two records of every run."""
    with tempfile.TemporaryDirectory() as folder:
        seconds, results = {}, {}
        for way, launcher in WAYS.items():
            seconds[way] = train([*sweep, *launcher, f"results={folder}/{way}"])
            results[way] = {entry.result["id"]: entry.result for entry in RunRecords(Path(folder, way))}
    alone, packed = results["alone"], results["packed"]
    runs = [
        {
            "task": result["task"],
            "prompt": result["prompt"],
            "id": run,
            "score": {way: records[run]["scores"]["score"] for way, records in results.items()},
            "together": packed[run]["trained_together"],
        }
        for run, result in sorted(alone.items(), key=lambda item: (item[1]["task"], item[1]["prompt"], item[0]))
    ]
    first = {way: next(iter(records.values())) for way, records in results.items()}
    return {
        "sweep": shlex.join(sweep),
        "device": {way: result["device"] for way, result in first.items()},
        "precision": first["alone"]["precision"],
        "seconds": seconds,
        "runs": runs,
        **environment(),
    }


def markdown(record: dict[str, Any]) -> str:
    """A sentence on the times, and a table with the scores of each task."""
    seconds, device = record["seconds"], record["device"]
    lines = [
        f"# `{record['sweep']}`, alone and in packs",
        "",
        f"Run after run ({device['alone']}) {seconds['alone']:,.0f} s; with `hydra/launcher=packed` (a process: "
        f"{device['packed']}) {seconds['packed']:,.0f} s, {seconds['packed'] / seconds['alone']:.0%} of it. "
        f"{record['precision']}; whole commands, from start to end.",
        "",
        "| task | runs | together | mean score alone | packed | equal scores |",
        "|--|--:|--:|--:|--:|--:|",
    ]
    for name in [*dict.fromkeys(run["task"] for run in record["runs"]), "all"]:
        runs = [run for run in record["runs"] if name in (run["task"], "all")]
        scores = {way: [run["score"][way] for run in runs] for way in WAYS}
        equal = sum(abs(a - b) < 1e-6 for a, b in zip(*scores.values(), strict=True))
        means = " | ".join(f"{statistics.fmean(values):.1f}" for values in scores.values())
        lines.append(f"| {name} | {len(runs)} | {max(run['together'] for run in runs)} | {means} | {equal} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", help="where to write, without the ending")
    parser.add_argument("sweep", nargs="+", help="its words, as for python -m rpt.train -m")
    chosen = parser.parse_args()
    data, page = (Path(f"{chosen.out}.{ending}") for ending in ("json", "md"))
    for path in (data, page):  # before hours of training
        check_writable(path, "out")
    record = compare(chosen.sweep)
    write_atomically(data, (json.dumps(record, indent=1) + "\n").encode())
    write_atomically(page, markdown(record).encode())
    print(markdown(record))


if __name__ == "__main__":
    main()
