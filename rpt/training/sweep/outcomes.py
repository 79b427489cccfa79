"""What became of a sweep's runs: the lines that it ends with. No torch here, for the command itself imports it."""

from __future__ import annotations

import sys
import traceback
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rpt.errors import ONE_LINE, describe_error
from rpt.records.run_folder import RunFolder

TRAINED, RECORDED, SKIPPED, FAILED, MISSING = "trained", "recorded before", "skipped", "failed", "missing"
PRUNED = "pruned"


class Score(float):
    """A run's score, and how it came about; NaN where the run was skipped, for another process was training it, and the
    best so far where a search gave it up.

    Args:
        how: TRAINED, RECORDED, SKIPPED or PRUNED.
        folder: of the run's record.
    """

    def __new__(cls, value: float, how: str = TRAINED, folder: Path = Path()) -> Score:
        score = super().__new__(cls, value)
        score.how, score.folder = how, folder
        return score

    how: str
    folder: Path


Outcome = Score | Exception  # a run's score, or what went wrong


def end_sweep(outcomes: Sequence[Outcome]) -> int:
    """Say what became of the runs in one line, after each failure; returns the exit status."""
    counts = Counter(map(name_outcome, outcomes))
    failures = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
    if failures:
        if isinstance(failures[0], ONE_LINE):
            print(f"rpt: {failures[0]}", file=sys.stderr)
        else:
            traceback.print_exception(failures[0])
        for other in list(dict.fromkeys(map(describe_failure, failures)))[1:]:
            print(f"also failed: {other}")
    elif counts[MISSING]:
        ended = f"the process that trained {counts[MISSING]} of the runs has ended without their records"
        print(f"rpt: {ended}; the same command goes on from here.", file=sys.stderr)
    kinds = (TRAINED, RECORDED, SKIPPED, FAILED, MISSING, *([PRUNED] if counts[PRUNED] else []))
    print(f"sweep of {len(outcomes)} runs: {', '.join(f'{counts[kind]} {kind}' for kind in kinds)}", flush=True)
    if failures and not isinstance(failures[0], ONE_LINE):
        return 1
    return 2 if failures or counts[MISSING] else 0


def describe_failure(error: Exception) -> str:
    """In one line."""
    return str(error) if isinstance(error, ONE_LINE) else describe_error(error)


def name_outcome(outcome: Outcome) -> str:
    """TRAINED and so on. A run that was skipped is missing if it has no record and nobody trains it now: the process
    that did has died, or failed."""
    if isinstance(outcome, Exception):
        return FAILED
    if outcome.how != SKIPPED:
        return outcome.how
    record = RunFolder(outcome.folder)
    if not record.claim():
        return SKIPPED
    try:
        return MISSING if record.finished() is None else SKIPPED
    finally:
        record.release()


def say_time(seconds: float) -> str:
    """3 h 20 min, 12 min, 45 s."""
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min" if seconds >= 90 else f"{seconds:.0f} s"
