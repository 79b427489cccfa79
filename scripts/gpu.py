"""What a machine with a GPU can tell, in one command and a few minutes: the tests marked `cuda`, then the benchmark.

    make gpu GPU="--minutes 4"
    make gpu GPU="--evidence --weights FOLDER --minutes 10"

With --evidence it trains the runs behind the tables of real rows instead (scripts/evidence.py), as many as the time
allows.

It takes the Python that it is started with as it is: torch, transformers, hydra-core and pytest, no network, nothing of
its own to be installed. T5-Base and T5-Large have random weights. Whatever fails leaves a line that says why; what
there is no time for is left out and said so. The last lines sum up. Ends with 1 if a test failed.
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
TESTS = [sys.executable, "-m", "pytest", "tests/training/test_cuda.py", "tests/test_benchmark.py", "-m", "cuda"]
TESTS += ["-q", "-rfEs", "--durations=5", "--tb=short", "-p", "no:cacheprovider"]
TESTS += ["-o", "addopts="]  # for what it names may not be installed
TESTS_SHARE = 0.4  # of the time, at most
ENDING = 15.0  # seconds kept for the figure and the end of the process
LONGEST = 40.0  # seconds of a backbone and task


def main(words: Sequence[str] | None = None) -> int:
    began = time.monotonic()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--minutes", type=float, default=9, help="in all")
    add("--backbones", nargs="+", default=["t5_base", "t5_large"])
    add("--tasks", nargs="+", default=["boolq", "wsc", "rte"])
    add("--rows", default="../shared/superglue", help="SuperGLUE in the official layout")
    add("--t5", help="a folder with T5's tokenizer; default: the nano's")
    add("--out", default=str(ROOT / "results" / "benchmark"))
    add("--evidence", action="store_true", help="train the runs of real rows; records go to results/runs")
    add("--weights", help="with --evidence: a folder with Flan-T5-Small (scripts/carry_weights.py)")
    chosen = parser.parse_args(words)
    if chosen.evidence:
        return train_evidence(chosen)
    os.environ["HF_HUB_OFFLINE"] = "1"
    tests = subprocess.Popen(TESTS, cwd=ROOT)
    import benchmark  # slow, so meanwhile
    from benchmarking.showing import write_summary

    if not has_gpu():
        tests.kill()
        sys.exit("torch finds no GPU here; `make bench` measures a processor.")
    said = wait(tests, 60 * chosen.minutes * TESTS_SHARE)
    left = 60 * chosen.minutes - (time.monotonic() - began) - ENDING
    seconds = min(LONGEST, 0.85 * left / (len(chosen.backbones) * len(chosen.tasks)))
    asked = ["--random", "--rounds", "5", "--seconds", f"{seconds}", "--minutes", f"{left / 60}"]
    asked += ["--rows", chosen.rows, "--out", chosen.out, *(["--t5", chosen.t5] if chosen.t5 else [])]
    asked += ["--backbones", *chosen.backbones, "--tasks", *chosen.tasks]
    record = benchmark.run(benchmark.parse(asked))
    print(f"\n{record['device']}: tests {said}; {time.monotonic() - began:.0f} s in all\n{write_summary(record)}")
    return int(said != "passed")


def train_evidence(chosen: argparse.Namespace) -> int:
    if not has_gpu():
        sys.exit("torch finds no GPU here; `python scripts/evidence.py` trains on a processor.")
    weights = ["--weights", chosen.weights] if chosen.weights else []
    return evidence.main(["--rows", chosen.rows, "--minutes", f"{chosen.minutes}", *weights])


def wait(tests: subprocess.Popen, seconds: float) -> str:
    """What became of the tests."""
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
