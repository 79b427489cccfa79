"""Weights & Biases beside the record. The record stays the source of numbers; this is for watching, so that nothing
that W&B cannot do ends a training run."""

from __future__ import annotations

import dataclasses
import logging
import os
import uuid
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from rpt.config import Config, as_dict
from rpt.config.schema import TrackingConfig
from rpt.errors import UsageError
from rpt.files import reason_of

log = logging.getLogger(__name__)
LONGEST_TAG = 64  # characters, that W&B takes


class Tracker:
    """One run's W&B run; does nothing under tracking=none, or where W&B cannot be started.

    Args:
        config: of the run.
        name: under which W&B shows the run.
        wandb_id: which W&B run a resumed one goes on in; None starts another.
        run_id: of the record, by which its W&B run is found.

    Attributes:
        wandb_id: of the W&B run; None under tracking=none.

    Raises:
        UsageError: W&B does not take tracking.project or tracking.entity, or tracking.dir cannot be used.
    """

    def __init__(self, config: Config, name: str, wandb_id: str | None, run_id: str):
        self.wandb_id, self._wandb = wandb_id, None
        if config.tracking.name == "wandb":
            self.wandb_id = wandb_id or uuid.uuid4().hex[:8]
            self._wandb = _start_wandb(config, name, self.wandb_id, run_id)

    def log(self, values: dict[str, Any], step: int) -> None:
        self._try(lambda wandb: wandb.log(values, step=step))

    def finish(self, summary: dict[str, Any] | None = None, failed: bool = False) -> None:
        """Close the W&B run, so that the next run of a sweep does not write into it."""

        def close(wandb: Any) -> None:
            wandb.summary.update(summary or {})
            wandb.finish(exit_code=int(failed))

        self._try(close)

    def _try(self, do: Callable[[Any], None]) -> None:
        if self._wandb is None:
            return
        try:
            do(self._wandb)
        except Exception as error:  # its own kinds, and those of the connection to its process
            log.warning("W&B stopped (%s); the run goes on without it, and its record has all numbers.", _line(error))
            self._wandb = None


def _start_wandb(config: Config, name: str, wandb_id: str, run_id: str) -> Any:
    """The W&B run, offline where W&B cannot be reached; None where it cannot be started at all, or is not wanted."""
    import wandb  # slow to import, and not wanted in every run

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
                return _init(config, tracking, name, wandb_id, run_id, online=True)
            except wandb.errors.CommError as error:
                log.warning("W&B cannot be reached (%s): this run is tracked offline (later wandb sync).", _line(error))
        return _init(config, tracking, name, wandb_id, run_id, online=False)
    except wandb.errors.UsageError as error:
        raise UsageError(
            f"tracking.project={tracking.project}, tracking.entity={tracking.entity}: W&B says {_line(error)}; "
            "give others, or tracking=none."
        ) from error
    except wandb.Error as error:
        log.warning("W&B cannot be started (%s): this run is not tracked; tracking=none: off.", _line(error))
        return None


def _user_settings() -> Any:
    """What W&B's variables and settings files say (WANDB_MODE, `wandb disabled`). An empty variable says nothing.

    Raises:
        UsageError: W&B does not take one of them.
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


def _with_user_settings(tracking: TrackingConfig, user: Any) -> TrackingConfig:
    """What they say of project and folder where the configuration has its default; the rest W&B reads by itself."""
    default = TrackingConfig()
    given = {"project": user.project, "dir": os.environ.get("WANDB_DIR")}
    unset = {key: value for key, value in given.items() if value and getattr(tracking, key) == getattr(default, key)}
    return dataclasses.replace(tracking, **unset)


@cache  # to find out takes seconds, and in a sweep every run would ask
def _log_in() -> bool:
    """Whether there is a key that W&B takes; if not, why is said once."""
    import wandb

    try:
        if wandb.login(prompt=False):
            return True
        log.info("W&B: no key, so runs are tracked offline (wandb login, or later wandb sync); tracking=none: off.")
    except wandb.Error as error:
        log.warning(
            "W&B: no login (%s): runs are tracked offline (later wandb sync); tracking=none: off.", _line(error)
        )
    return False


def _init(config: Config, tracking: TrackingConfig, name: str, wandb_id: str, run_id: str, online: bool) -> Any:
    import wandb

    shared = [config.task.name, config.backbone.name, config.variant]  # by the runs of a row, over rates and seeds
    kind = ["miniature"] if config.data.name == "mini" else []
    user = _user_settings()
    return wandb.init(
        project=tracking.project,
        entity=tracking.entity,
        dir=tracking.dir,
        name=user.run_name or name,
        group=user.run_group or " ".join(shared),
        tags=[tag[:LONGEST_TAG] for tag in (*shared, config.protocol.name, *kind, *(user.run_tags or ()))],
        id=wandb_id,
        resume="allow" if online else None,
        reinit="create_new",
        mode="online" if online else "offline",
        config=as_dict(config) | {"run_id": run_id},
        settings=wandb.Settings(silent=True),
    )


def _line(error: Exception) -> str:
    """What it says, in one line."""
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__
