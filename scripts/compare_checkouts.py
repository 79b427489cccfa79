"""Train one run in this checkout and in another by turns, and compare the speeds of their training steps.

    git worktree add ../before COMMIT
    python scripts/compare_checkouts.py ../before task=cb prompt=residual backbone=nano data=mini trainer.max_steps=100

By turns, and each first as often, so that a slower machine slows both. A ratio above 1 says that this checkout is
faster. Starting and evaluating do not count.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parents[1]


def measure(checkout: Path, overrides: list[str]) -> float:
    """Rows per second of the run's training steps, as its record has them.

    Raises:
        CalledProcessError: the run failed; its message is on stderr.
    """
    with tempfile.TemporaryDirectory() as results:
        command = [sys.executable, "-m", "rpt.train", *overrides, "tracking=none", f"results={results}"]
        environment = os.environ | {"PYTHONPATH": str(checkout)}
        subprocess.run(command, cwd=checkout, env=environment, check=True, stdout=subprocess.DEVNULL)
        (result,) = Path(results).rglob("result.json")
        return float(json.loads(result.read_text())["rows_per_second"]["train"])


def compare(other: Path, overrides: list[str], rounds: int) -> None:
    """Print the rates of each round, and the ratio of the best ones, which other processes have disturbed least."""
    rates: dict[Path, list[float]] = {HERE: [], other: []}
    print("round  this, rows/s  other  ratio")
    for number in range(rounds):
        for checkout in sorted(rates, reverse=number % 2 == 1):
            rates[checkout].append(measure(checkout, overrides))
        _show(str(number + 1), *(each[-1] for each in rates.values()))
    _show("best", *map(max, rates.values()))


def _show(row: str, ours: float, theirs: float) -> None:
    print(f"{row:>5}{ours:>14.1f}{theirs:>7.1f}{ours / theirs:>7.3f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("other", type=Path, help="the folder of the other checkout")
    parser.add_argument("overrides", nargs="+", help="of the run, as for python -m rpt.train")
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    compare(chosen.other.resolve(), chosen.overrides, chosen.rounds)


if __name__ == "__main__":
    main()
