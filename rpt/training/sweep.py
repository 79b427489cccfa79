"""Runs from their configurations to their records: those that can are trained together."""

from __future__ import annotations

import json
import logging
import math
import traceback
from collections import defaultdict
from collections.abc import Iterator
from itertools import chain
from typing import Any

from rpt.backbones.device import precision_of
from rpt.config import Config, as_dict, backbone_source
from rpt.errors import RecordError, UsageError
from rpt.hub import offline_unless_reachable
from rpt.training.memory import max_tokens
from rpt.training.pack import NonFiniteLoss, Pack, accelerator_for
from rpt.training.preflight import check
from rpt.training.prepare import PreparedRun, forget_peak_memory, prepare_run
from rpt.training.run import TrainingRun

log = logging.getLogger("rpt")
Outcome = float | Exception  # a run's score, or what went wrong; NaN if another process is training it
# What may differ between runs that are trained together.
OWN = (
    "prompt", "lr", "seed", "force", "resume", "results", "tracking",
    "data.shots", "data.shots_seed", "trainer.network_lr", "trainer.head_lr",
)  # fmt: skip


def train_all(configs: list[Config], max_runs: int = 1) -> list[Outcome]:
    """Run the configurations to their records, at most so many together. A finished record is returned as it is."""
    outcomes: dict[int, Outcome] = {}
    groups: dict[str, dict[int, Config]] = defaultdict(dict)
    for number, config in enumerate(configs):
        try:
            check(config)
            groups[_shared(config)][number] = config
        except UsageError as error:
            outcomes[number] = error
    if any("hub" in (config.data.name, backbone_source(config.backbone)) for config in configs):
        offline_unless_reachable()
    for group in groups.values():
        _train_group(group, max_runs, outcomes)
    return [outcomes[number] for number in range(len(configs))]


def _shared(config: Config) -> str:
    """Equal for runs that can be trained together."""
    shared = as_dict(config)
    for key in OWN:
        *parents, last = key.split(".")
        inner = shared
        for parent in parents:
            inner = inner[parent]
        inner.pop(last)
    # The backbone's dropout draws for all rows of a pass at once, and the loss scale of fp16 is one for all: a run
    # would not be what it is alone.
    # Another method than prompt tuning changes the backbone itself.
    alone = config.trainer.dropout or precision_of(config) == "fp16" or not config.tunes_prompt
    width = config.prompt.length if config.trainer.pad_to_max else None  # it leaves the text the rest of max_tokens
    return json.dumps([shared, as_dict(config) if alone else None, width], sort_keys=True)


def _train_group(configs: dict[int, Config], max_runs: int, outcomes: dict[int, Outcome]) -> None:
    """Train runs that can stand in one pack; what becomes of them goes into `outcomes`."""
    forget_peak_memory()
    under_way: dict[TrainingRun, tuple[int, PreparedRun]] = {}
    waiting = _ready(configs, under_way, outcomes)
    try:
        while (first := next(waiting, None)) is not None:  # once, or again after what ended a whole pack
            backbone, config = under_way[first][1].backbone, first.config
            accelerator = accelerator_for(config)
            pack = Pack(backbone, accelerator, max_runs, max_tokens(config, backbone, accelerator))
            try:
                for run in pack.fit(chain([first], waiting)):
                    number, session = under_way.pop(run)
                    outcomes[number] = _ended(session, run, accelerator)
            except Exception as error:  # e.g. not even one row fits the memory: it met every run of the pack
                for run, (number, session) in under_way.items():
                    outcomes[number] = _failed(session, run, error)
                under_way.clear()
    finally:  # on a signal, the runs that are saved and not over
        for run, (_, session) in under_way.items():
            run.tracker.finish(failed=True)
            session.record.release()


def _ready(
    configs: dict[int, Config], under_way: dict[TrainingRun, tuple[int, PreparedRun]], outcomes: dict[int, Outcome]
) -> Iterator[TrainingRun]:
    """The runs that are still to be trained, each claimed and prepared when it is asked for."""
    for number, config in configs.items():
        try:
            session = prepare_run(config)
            claimed = session.record.claim()
        except Exception as error:  # before there is a record that could hold it; the other runs go on
            outcomes[number] = _told(error, f"{config.task.name} {config.backbone.name} {config.variant}")
            continue
        if not claimed:
            log.info("Another process trains this run (%s is locked); skipped.", session.record.folder)
            outcomes[number] = math.nan
            continue
        try:
            result = None if config.force else session.record.finished()
            run = session.begin() if result is None else None
        except Exception as error:
            outcomes[number] = _failed(session, None, error)
            continue
        if run is not None:
            under_way[run] = number, session
            yield run
        else:
            session.record.release()
            log.info("Already recorded in %s (force=true trains again).", session.record.folder)
            outcomes[number] = _said(session, result)


def _ended(session: PreparedRun, run: TrainingRun, accelerator: Any) -> Outcome:
    try:
        result = session.finish(run, accelerator)
    except Exception as error:
        return _failed(session, run, error)
    session.record.release()
    return _said(session, result)


def _failed(session: PreparedRun, run: TrainingRun | None, error: Exception) -> Exception:
    session.fail(run, error)
    session.record.release()
    return _told(error, session.name)


def _told(error: Exception, name: str) -> Exception:
    """The error, once it is in the log: a sweep shows only its first one, and the traceback is lost between processes.

    What the traceback's frames hold is let go, for it may be most of the device's memory.
    """
    if not isinstance(error, UsageError | RecordError | NonFiniteLoss):
        log.error("%s failed", name, exc_info=error)
    traceback.clear_frames(error.__traceback__)
    return error


def _said(session: PreparedRun, result: dict[str, Any]) -> float:
    log.info(
        "%s: score %.2f, majority class %.2f (%s rows, %s protocol%s)\nrecord: %s",
        session.name, result["scores"]["score"], result["majority"]["score"], result["data"]["report"],
        result["protocol"], ", miniature" if result["data"]["miniature"] else "", session.record.folder,
    )  # fmt: skip
    return result["scores"]["score"]
