"""Run the tests marked `cuda` and then the benchmark, in a few minutes on a machine with a GPU.

    make gpu GPU="--minutes 4"
    make gpu GPU="--evidence --weights FOLDER --minutes 10"

With --evidence it trains the runs behind the tables of real rows instead (scripts/evidence.py), as many as the time
allows.

It needs a Python with torch, transformers, hydra-core and pytest, but no network and no installation. T5-Base and
T5-Large have random weights. Failures and what there was no time for get a line with the reason. The last lines are a
summary. Ends with code 1 if a test failed.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import evidence

ROOT = Path(__file__).resolve().parents[1]
TESTS = [sys.executable, "-m", "pytest", "tests/training/engine/test_cuda.py", "tests/test_benchmark.py", "-m", "cuda"]
TESTS += ["-q", "-rfEs", "--durations=5", "--tb=short", "-p", "no:cacheprovider"]
TESTS += ["-o", "addopts="]  # plugins that it names may not be installed
TESTS_SHARE = 0.4  # of the time, at most
ENDING = 15.0  # seconds reserved for the figure and the end of the process
MAX_SECONDS = 40.0  # for a backbone and task


def main(arguments: Sequence[str] | None = None) -> int:
    began = time.monotonic()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--minutes", type=float, default=9, help="in all")
    add("--backbones", nargs="+", default=["t5_base", "t5_large"])
    add("--tasks", nargs="+", default=["boolq", "wsc", "rte"])
    add("--rows", default="../shared/superglue", help="SuperGLUE in the official layout")
    add("--t5", help="a folder with T5's tokenizer; default: the nano's")
    add("--out", help="a folder; default: results/benchmark, with --evidence results")
    add("--evidence", action="store_true", help="train the runs of real rows; records go to runs/ below --out")
    add("--weights", help="with --evidence: a folder with Flan-T5-Small (scripts/carry_weights.py)")
    chosen = parser.parse_args(arguments)
    if chosen.evidence:
        return train_evidence(chosen)
    os.environ["HF_HUB_OFFLINE"] = "1"
    tests = subprocess.Popen(TESTS, cwd=ROOT)
    import benchmark  # slow, so import it while the tests run
    from benchmarking.showing import write_summary

    if not has_gpu():
        tests.kill()
        sys.exit("torch finds no GPU here; `make bench` measures a processor.")
    said = wait(tests, 60 * chosen.minutes * TESTS_SHARE)
    left = 60 * chosen.minutes - (time.monotonic() - began) - ENDING
    seconds = min(MAX_SECONDS, 0.85 * left / (len(chosen.backbones) * len(chosen.tasks)))
    asked = ["--random", "--rounds", "5", "--seconds", f"{seconds}", "--minutes", f"{left / 60}"]
    asked += ["--rows", chosen.rows, "--out", chosen.out or str(ROOT / "results" / "benchmark")]
    asked += ["--t5", chosen.t5] if chosen.t5 else []
    asked += ["--backbones", *chosen.backbones, "--tasks", *chosen.tasks]
    record = benchmark.run(benchmark.parse(asked))
    print(f"\n{record['device']}: tests {said}; {time.monotonic() - began:.0f} s in all\n{write_summary(record)}")
    return int(said != "passed")


def train_evidence(chosen: argparse.Namespace) -> int:
    if not has_gpu():
        sys.exit("torch finds no GPU here; `python scripts/evidence.py` trains on a processor.")
    asked = ["--weights", chosen.weights] if chosen.weights else []
    asked += ["--out", chosen.out] if chosen.out else []
    return evidence.main(["--rows", chosen.rows, "--minutes", f"{chosen.minutes}", *asked])


def wait(tests: subprocess.Popen, seconds: float) -> str:
    """Wait for the tests; returns their outcome."""
    try:
        code = tests.wait(seconds)
    except subprocess.TimeoutExpired:
        tests.kill()
        tests.wait()
        return f"cut after {seconds:.0f} s"
    return "passed" if code == 0 else f"FAILED (pytest ended with {code})"


def has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


if __name__ == "__main__":
    sys.exit(main())
