"""Weights & Biases beside the record. The record stays the source of numbers; this is for watching."""

from __future__ import annotations

import logging
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rpt.config import as_dict
from rpt.errors import UsageError
from rpt.files import reason_of

if TYPE_CHECKING:
    from rpt.training.run import TrainingRun

log = logging.getLogger(__name__)


class Tracker:
    """One run's W&B run; does nothing under tracking=none."""

    def __init__(self, run: TrainingRun):
        self._wandb = _start_wandb(run) if run.config.tracking.name == "wandb" else None

    def log(self, values: dict[str, Any], step: int) -> None:
        if self._wandb is not None:
            self._wandb.log(values, step=step)

    def finish(self, summary: dict[str, Any] | None = None, failed: bool = False) -> None:
        """Close the W&B run, so that the next run of a sweep does not write into it."""
        if self._wandb is not None:
            self._wandb.summary.update(summary or {})
            self._wandb.finish(exit_code=int(failed))


def _start_wandb(run: TrainingRun) -> Any:
    import wandb  # slow to import, and not wanted in every run

    config = run.config
    has_key = wandb.login(prompt=False)
    if not has_key:
        log.info("W&B: no key, so this run is tracked offline (wandb login, or later wandb sync); tracking=none: off.")
    run.progress.wandb_id = run.progress.wandb_id or uuid.uuid4().hex[:8]
    try:
        Path(config.tracking.dir).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"tracking.dir={config.tracking.dir} cannot be used ({reason_of(error)}); give another, or tracking=none."
        ) from error
    return wandb.init(
        project=config.tracking.project,
        entity=config.tracking.entity,
        dir=config.tracking.dir,
        name=run.name,
        id=run.progress.wandb_id,
        resume="allow" if has_key else None,
        reinit="create_new",
        mode="online" if has_key else "offline",
        config=as_dict(config),
        settings=wandb.Settings(silent=True),
    )
