"""The progress bar of a pack."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tqdm import tqdm

from rpt.training.run.run import TrainingRun


class ProgressBar:
    def __init__(self, bar: tqdm):
        self._bar = bar

    def add_runs(self, runs: Sequence[TrainingRun], together: int) -> None:
        """Add joining runs; `together` runs now train together."""
        self._bar.total += sum(run.total_steps for run in runs)
        self._bar.update(sum(run.progress.step for run in runs))
        self._bar.set_description(runs[0].config.title if together == 1 else f"{together} runs together")

    def advance(self, steps: int) -> None:
        self._bar.update(steps)

    def show_loss(self, run: TrainingRun, loss: float) -> None:
        best = run.progress.best_score
        score = {} if best is None else {"best": f"{best:.1f}"}
        self._bar.set_postfix({"loss": f"{loss:.3f}", **score}, refresh=False)

    def show_evaluation(self, run: TrainingRun) -> None:
        """Write a line above the bar."""
        self._bar.write(run.latest)


@contextmanager
def open_progress_bar() -> Iterator[ProgressBar]:
    with tqdm(unit="step", disable=None, smoothing=0.05, total=0) as bar:
        yield ProgressBar(bar)
