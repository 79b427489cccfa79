"""Weights & Biases beside the record. The record stays the source of numbers; this is for watching, so no failure of
W&B ends a training run."""

from __future__ import annotations

import dataclasses
import logging
import os
import uuid
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from rpt.config import Config, as_dict
from rpt.config.schema import TrackingConfig
from rpt.errors import UsageError
from rpt.files import reason_of

if TYPE_CHECKING:  # slow to import
    from wandb import Run as Wandb
    from wandb import Settings

log = logging.getLogger(__name__)
MAX_TAG_LENGTH = 64  # characters, W&B's limit


class Tracker:
    """A run's W&B run; without one, as under tracking=none or if W&B cannot be started, it does nothing.

    Args:
        wandb_id: of the W&B run; None under tracking=none.
    """

    def __init__(self, wandb: Wandb | None = None, wandb_id: str | None = None):
        self._wandb, self.wandb_id = wandb, wandb_id

    def log(self, values: dict[str, float], step: int) -> None:
        self._try(lambda wandb: wandb.log(values, step=step))

    def write(self, text: str) -> None:
        """Add to the run's console. W&B would take that of the process, whose lines are of all its runs."""
        self._try(lambda wandb: wandb.write_logs(text))

    def finish(self, summary: dict[str, float] | None = None, failed: bool = False) -> None:
        """Close the W&B run, so that the next run of a sweep does not write into it."""

        def close(wandb: Wandb) -> None:
            wandb.summary.update(summary or {})
            wandb.finish(exit_code=int(failed))

        self._try(close)

    def _try(self, do: Callable[[Wandb], None]) -> None:
        if self._wandb is None:
            return
        try:
            do(self._wandb)
        except Exception as error:  # W&B's own errors, and those of the connection to its process
            log.warning("W&B stopped (%s); the run goes on without it, and its record has all numbers.", _line(error))
            self._wandb = None


def start_tracker(config: Config, wandb_id: str | None, run_id: str) -> Tracker:
    """The tracker that the configuration asks for.

    Args:
        config: of the run.
        wandb_id: the W&B run that a resumed run continues; None starts a new one.
        run_id: of the record, to find it from W&B.

    Raises:
        UsageError: W&B refuses tracking.project or tracking.entity, or tracking.dir cannot be used.
    """
    if config.tracking.name != "wandb":
        return Tracker(wandb_id=wandb_id)
    wandb_id, wandb = wandb_id or uuid.uuid4().hex[:8], None
    try:
        wandb = _start_wandb(config, wandb_id, run_id)
    except UsageError:
        raise
    except Exception as error:  # W&B's own errors, and those of its process, which have many classes
        log.warning("W&B cannot be started (%s): this run is not tracked; tracking=none: off.", _line(error))
    return Tracker(wandb, wandb_id)


def _start_wandb(config: Config, wandb_id: str, run_id: str) -> Wandb | None:
    """The W&B run, offline if W&B cannot be reached; None if it is disabled."""
    import wandb  # slow to import, and not needed in every run

    user = _user_settings()
    if user.mode == "disabled":
        return None
    tracking = _with_user_settings(config.tracking, user)
    try:
        Path(tracking.dir).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"tracking.dir={tracking.dir} cannot be used ({reason_of(error)}); give another, or tracking=none."
        ) from error
    try:
        if user.mode not in ("offline", "dryrun") and _log_in():
            try:
                return _init(config, tracking, wandb_id, run_id, online=True)
            except wandb.errors.CommError as error:
                log.warning("W&B cannot be reached (%s): this run is tracked offline (later wandb sync).", _line(error))
        return _init(config, tracking, wandb_id, run_id, online=False)
    except wandb.errors.UsageError as error:
        raise UsageError(
            f"tracking.project={tracking.project}, tracking.entity={tracking.entity}: W&B says {_line(error)}; "
            "give others, or tracking=none."
        ) from error


def _user_settings() -> Settings:
    """W&B's settings from its variables (WANDB_MODE) and files (`wandb disabled`). Empty variables are ignored.

    Raises:
        UsageError: W&B refuses one of them.
    """
    import wandb

    for name in [name for name, value in os.environ.items() if name.startswith("WANDB_") and not value]:
        del os.environ[name]
    try:
        return wandb.setup().settings
    except ValueError as error:
        raise UsageError(
            f"W&B refuses its variables or settings file ({_line(error)}); mend them, or give tracking=none."
        ) from error


def _with_user_settings(tracking: TrackingConfig, user: Settings) -> TrackingConfig:
    """Take project and folder from the user's settings if the configuration has the defaults; W&B reads the other
    settings by itself."""
    default, merged = TrackingConfig(), dataclasses.replace(tracking)
    if user.project and tracking.project == default.project:
        merged.project = user.project
    if (folder := os.environ.get("WANDB_DIR")) and tracking.dir == default.dir:
        merged.dir = folder
    return merged


@cache  # a login takes seconds, and every run of a sweep would need one
def _log_in() -> bool:
    """Whether W&B accepts a key; if not, log the reason once."""
    import wandb

    try:
        if wandb.login(prompt=False):
            return True
        log.info("W&B: no key, so runs are tracked offline (wandb login, or later wandb sync); tracking=none: off.")
    except Exception as error:
        log.warning(
            "W&B: no login (%s): runs are tracked offline (later wandb sync); tracking=none: off.", _line(error)
        )
    return False


def _init(config: Config, tracking: TrackingConfig, wandb_id: str, run_id: str, online: bool) -> Wandb:
    import wandb

    shared = [config.task.name, config.backbone.name, config.variant]  # by a table row's rates and seeds
    kind = ["miniature"] if config.data.name == "mini" else []
    user = _user_settings()
    return wandb.init(
        project=tracking.project,
        entity=tracking.entity,
        dir=tracking.dir,
        name=user.run_name or config.title,
        group=user.run_group or " ".join(shared),
        tags=[tag[:MAX_TAG_LENGTH] for tag in (*shared, config.protocol.name, *kind, *(user.run_tags or ()))],
        id=wandb_id,
        resume="allow" if online else None,
        reinit="create_new",
        mode="online" if online else "offline",
        config=as_dict(config) | {"run_id": run_id},
        settings=wandb.Settings(silent=True, console="off"),
    )


def _line(error: Exception) -> str:
    """The text of an error in one line."""
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__
