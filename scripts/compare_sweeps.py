"""The same runs trained alone and in packs: how long they took, and how far their scores are apart.

    python -m rpt.train -m +experiment=figure4 scale=mini seed=0 results=outputs/alone
    python -m rpt.train -m +experiment=figure4 scale=mini seed=0 hydra/launcher=packed results=outputs/packed
    python scripts/compare_sweeps.py outputs/alone outputs/packed results/benchmark/figure4-packed

Writes the last as .json and .md. A run's seconds are its steps and evaluations; in a pack, its share of the common
steps. Start-up and tokenisation, which a sweep does once either way, are not in them. Both sweeps should have had the
machine for themselves.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

from rpt.files import write_atomically
from rpt.results.study import Records


def compare(alone: Path, packed: Path) -> dict[str, Any]:
    """Every run that both folders have.

    Raises:
        SystemExit: they have none in common, or other devices or precision.
    """
    ours, theirs = ({entry.result["id"]: entry.result for entry in Records(folder)} for folder in (alone, packed))
    both = sorted(ours.keys() & theirs.keys())
    if not both:
        raise SystemExit(f"{alone} and {packed} have no finished run in common; train the same sweep into both.")
    conditions = {(result["device"], result["precision"]) for of in (ours, theirs) for result in map(of.get, both)}
    if len(conditions) > 1:
        raise SystemExit(f"The runs were trained under several conditions: {conditions}; train them anew under one.")
    ((device, precision),) = conditions
    runs = [
        {
            "task": ours[run]["task"], "prompt": ours[run]["prompt"], "id": run,
            "seconds": {"alone": ours[run]["seconds"], "packed": theirs[run]["seconds"]},
            "score": {"alone": ours[run]["scores"]["score"], "packed": theirs[run]["scores"]["score"]},
            "together": theirs[run]["trained_together"],
        }
        for run in both
    ]  # fmt: skip
    return {
        "device": device,
        "precision": precision,
        "runs": sorted(runs, key=lambda run: (run["task"], run["prompt"])),
    }


def markdown(record: dict[str, Any]) -> str:
    """A row for each task, with the time and the scores of its runs."""
    lines = [
        f"# Alone and in packs, on {record['device']}, {record['precision']}",
        "",
        "| task | runs | together | alone | packed | packed / alone | mean score alone | packed | equal scores |",
        "|--|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    tasks = dict.fromkeys(run["task"] for run in record["runs"])
    for name in [*tasks, "all"]:
        runs = [run for run in record["runs"] if name in (run["task"], "all")]
        seconds, scores = (
            {k: [run[of][k] for run in runs] for k in ("alone", "packed")} for of in ("seconds", "score")
        )
        took = {k: sum(values) for k, values in seconds.items()}
        means = {k: statistics.fmean(values) for k, values in scores.items()}
        equal = sum(abs(a - b) < 1e-6 for a, b in zip(*scores.values(), strict=True))
        lines.append(
            f"| {name} | {len(runs)} | {max(run['together'] for run in runs)} | {took['alone']:,.0f} s "
            f"| {took['packed']:,.0f} s | {took['packed'] / took['alone']:.2f} | {means['alone']:.1f} "
            f"| {means['packed']:.1f} | {equal} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("alone", type=Path, help="a folder of results")
    parser.add_argument("packed", type=Path, help="another, with the same runs")
    parser.add_argument("out", type=Path, help="where to write, without the ending")
    chosen = parser.parse_args()
    record = compare(chosen.alone, chosen.packed)
    write_atomically(chosen.out.with_suffix(".json"), (json.dumps(record, indent=1) + "\n").encode())
    write_atomically(chosen.out.with_suffix(".md"), markdown(record).encode())
    print(markdown(record))


if __name__ == "__main__":
    main()
