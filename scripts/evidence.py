"""Train the runs behind the tables of real rows, the most important first, until all are done or the time is over.

    python scripts/evidence.py --rows FOLDER --minutes 150

Each entry of `SWEEPS` is a sweep of `scale=laptop`; sweeps run one after another. A finished run has a record; if the
command is run again, it skips finished runs and continues interrupted ones from their checkpoints. On a GPU the runs of
a sweep train together; on a processor each core trains one. `python -m rpt.publish` adds the records to the published
store.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SWEEPS = (  # an experiment and the part of it; if time is short, the last ones are left out
    ("table1", "task=cb"),
    ("table1", "task=copa"),
    ("table1", "task=rte"),
    ("table1", "task=wic"),
    ("table1_methods", "task=cb"),
    ("table1_methods", "task=rte"),
    ("figure5", "task=rte"),
    ("figure5", "task=wic"),
    ("figure4", "task=cb"),
    ("figure4", "task=rte", "lr=0.01,0.1,0.3,1", "seed=0,1"),
    ("table5", "task=cb"),
    ("table4", "task=cb"),
    ("table6", "task=cb"),
    ("figure3", "task=cb"),
    ("figure6", "task=cb", "prompt.bottleneck=5,50,250,1500"),
    ("reparameterizations", "task=cb"),
)
GRACE = 60.0  # seconds for a sweep to save its runs


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--rows", default="../shared/superglue", help="SuperGLUE in the official layout")
    add("--minutes", type=float, default=150, help="in all")
    add("--weights", help="a folder with Flan-T5-Small (scripts/carry_weights.py); default: the installed package")
    add("--out", default=str(ROOT / "results"), help="the folder of the records, as `results=` of rpt.train")
    add("--only", nargs="+", help="names of experiments; default: all")
    add("overrides", nargs="*", help="further words for rpt.train, such as trainer.max_steps=2")
    return parser.parse_args(arguments)


def train_sweeps(chosen: argparse.Namespace, is_gpu: bool) -> dict[str, str]:
    """Train the sweeps; returns the outcome of each, including those that did not begin."""
    ends, outcomes = time.monotonic() + 60 * chosen.minutes, {}
    for name, *part in SWEEPS:
        if chosen.only and name not in chosen.only:
            continue
        overrides = [f"+experiment={name}", "scale=laptop", *part, "hydra/launcher=packed"]
        overrides += [f"data.dir={chosen.rows}", f"results={chosen.out}", *chosen.overrides]
        overrides += [f"backbone.path={chosen.weights}"] if chosen.weights else []
        overrides += [] if is_gpu else ["pack.max_runs=1"]
        left = ends - time.monotonic()
        outcomes[" ".join((name, *part))] = run(overrides, left) if left > 0 else "not begun"
        print(f"{name} {' '.join(part)}: {outcomes[' '.join((name, *part))]}", flush=True)
    return outcomes


def run(overrides: list[str], seconds: float) -> str:
    """Run a sweep, and let it save its runs when the time is over; returns the outcome."""
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-m", "rpt.train", "-m", *overrides]
    process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": path, "HF_HUB_OFFLINE": "1"})
    try:
        code = process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(GRACE)
        except subprocess.TimeoutExpired:
            process.kill()
        return "cut; the same command goes on"
    return "complete" if code == 0 else f"FAILED (ended with {code})"


def main(arguments: Sequence[str] | None = None) -> int:
    import torch

    outcomes = train_sweeps(parse(arguments), torch.cuda.is_available())
    return int(any(outcome.startswith("FAILED") for outcome in outcomes.values()))


if __name__ == "__main__":
    sys.exit(main())
