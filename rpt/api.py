"""The same from Python. `rpt.train`, `rpt.load` and `rpt.load_runs` do what the commands do.

import rpt

run = rpt.train(task="cb", prompt="residual", backbone="nano", data="mini")
print(run.scores["score"], run.curve[-1]["loss"], run.prompt.shape)
answers = rpt.load(run.folder).answer([{"premise": "…", "hypothesis": "…"}])
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from torch import Tensor

from rpt.backbones import Answer
from rpt.config import compose, to_config, validate
from rpt.config.mistakes import explained_mistakes, refuse_misread
from rpt.errors import UsageError
from rpt.inference.saved_run import SavedRun, open_saved_run
from rpt.inference.server import PromptServer, open_server
from rpt.records.run_folder import RunFolder
from rpt.records.schema import Evaluation
from rpt.tasks.fields import RawRow
from rpt.training.sweep.outcomes import SKIPPED
from rpt.training.sweep.sweep import train_all


class Run:
    """A finished run of prompt tuning.

    Args:
        saved: its folded prompt and its record.
    """

    def __init__(self, saved: SavedRun):
        self.saved = saved

    @property
    def folder(self) -> Path:
        """Its record."""
        return self.saved.folder

    @property
    def scores(self) -> dict[str, float]:
        """Every metric of the task on the reported rows, per cent; `score` is the protocol's headline."""
        return self.saved.result["scores"]

    @property
    def majority(self) -> dict[str, float]:
        """The same of the training rows' most frequent answer, given to every row: the floor."""
        return self.saved.result["majority"]

    @cached_property
    def curve(self) -> list[Evaluation]:
        """One entry for each evaluation: step, epoch, mean training loss since the one before, score."""
        return RunFolder(self.folder).read().history

    @property
    def prompt(self) -> Tensor:
        """P' [N, d], float32: what stands in front of the input embeddings."""
        return self.saved.prompt

    @cached_property
    def _server(self) -> PromptServer:
        return open_server({"prompt": self.saved})

    def answer(self, rows: Sequence[RawRow]) -> list[Answer]:
        """The answers to raw rows, in the schema of the official files; labels are not needed. The backbone is loaded
        at the first call.

        Raises:
            UsageError: a row is not of the task's schema, or the backbone cannot be had.
        """
        examples = [example for row in rows for example in self._server.parse("prompt", row)]
        return self._server.answer([("prompt", example) for example in examples])


def train(*overrides: str, **choices: str) -> Run:
    """Train a soft prompt to its record, or open the record that is there, as `python -m rpt.train` does. W&B gets
    nothing unless `tracking="wandb"` asks for it.

    Args:
        overrides: further words as one types them: "prompt.length=5", "trainer.epochs=2".
        choices: of the groups, and keys without a dot: task="cb", prompt="residual", lr="0.1".

    Raises:
        UsageError: a word names no key or choice, the run leaves no prompt, another process trains it, or rows or
            backbone cannot be had.
    """
    requested = [f"{key}={value}" for key, value in ({"tracking": "none"} | choices).items()]
    requested += overrides
    if wrong := [each for each in requested if not isinstance(each, str)]:
        raise UsageError(
            f'rpt.train takes words and keys, not {wrong[0]!r:.80}: rpt.train("trainer.epochs=2", task="cb").'
        )
    refuse_misread(requested)
    with explained_mistakes():
        config = to_config(compose("train", requested), requested)
    validate(config)
    if not config.tunes_prompt or not config.prompt.length:
        raise UsageError("rpt.train trains soft prompts; use the command for prompt=none and other methods.")
    (outcome,) = train_all([config])
    if isinstance(outcome, Exception):
        raise outcome
    if outcome.how == SKIPPED:
        raise UsageError(f"Another process trains this run ({outcome.folder}); load it when that has ended.")
    return load(outcome.folder)


def load(folder: str | Path) -> Run:
    """A finished run, from its record's folder results/runs/TASK/BACKBONE/PROMPT/ID.

    Raises:
        UsageError: there is none, or it lacks its prompt.
        RecordError: its record cannot be read.
    """
    return Run(open_saved_run(folder))
