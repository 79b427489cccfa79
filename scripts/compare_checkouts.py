"""Train one run in this checkout and in another by turns, and compare the speeds of their training steps.

    git worktree add ../before COMMIT
    python scripts/compare_checkouts.py ../before task=cb prompt=residual backbone=nano data=mini trainer.max_steps=100

By turns, and each first as often, so that a slower machine slows both. Rows per second are those of training steps
alone, processor seconds those of the whole command, which other processes disturb less. A ratio above 1 says that this
checkout is faster.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parents[1]


def measure(checkout: Path, overrides: list[str]) -> tuple[float, float]:
    """Rows per second of the run's training steps, as its record has them, and the command's processor seconds.

    Raises:
        CalledProcessError: the run failed; its message is on stderr.
    """
    with tempfile.TemporaryDirectory() as results:
        command = [sys.executable, "-m", "rpt.train", *overrides, "tracking=none", f"results={results}"]
        environment = os.environ | {"PYTHONPATH": str(checkout)}
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, cwd=checkout, env=environment, check=True, stdout=subprocess.DEVNULL)
        (result,) = Path(results).rglob("result.json")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return float(json.loads(result.read_text())["rows_per_second"]["train"]), seconds


def compare(other: Path, overrides: list[str], rounds: int) -> None:
    """Print the measures of each round, and the best ones, which other processes have disturbed least."""
    measures: dict[Path, list[tuple[float, float]]] = {HERE: [], other: []}
    print("round  this, rows/s  other  ratio  this, processor s  other  ratio")
    for number in range(rounds):
        for checkout in sorted(measures, reverse=number % 2 == 1):
            measures[checkout].append(measure(checkout, overrides))
        _show(str(number + 1), *(each[-1] for each in measures.values()))
    _show("best", *((max(rates), min(seconds)) for rates, seconds in (zip(*m, strict=True) for m in measures.values())))


def _show(row: str, this: tuple[float, float], other: tuple[float, float]) -> None:
    (rate, seconds), (other_rate, other_seconds) = this, other
    rates = f"{rate:>14.1f}{other_rate:>7.1f}{rate / other_rate:>7.3f}"
    print(f"{row:>5}{rates}{seconds:>19.1f}{other_seconds:>7.1f}{other_seconds / seconds:>7.3f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("other", type=Path, help="the folder of the other checkout")
    parser.add_argument("overrides", nargs="+", help="of the run, as for python -m rpt.train")
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    compare(chosen.other.resolve(), chosen.overrides, chosen.rounds)


if __name__ == "__main__":
    main()
