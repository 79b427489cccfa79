"""Packs as jobs: of submitit's executors (this machine, Slurm) or Ray.

A job trains one pack in one process. A job that ends without results (its node died, or its time was over) is submitted
again, and its runs go on from their checkpoints. Records and locks are in the shared folder as usual.
"""

from __future__ import annotations

import functools
import importlib
import logging
import math
import os
import signal
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Protocol

import torch

from rpt.config import Config
from rpt.config.schema import Values
from rpt.errors import UsageError, describe_error, first_line
from rpt.training.sweep.launched import ending_with_command
from rpt.training.sweep.outcomes import Outcome, name_outcome
from rpt.training.sweep.pack_size import SIZES
from rpt.training.sweep.sweep import identify_group, loader_of, train_all
from rpt.training.sweep.workers import count_processes, largest_pack, list_gpus, make_sendable, share_threads

log = logging.getLogger("rpt")
TRIES = 3  # of a pack, before its runs count as failed
POLL = 0.5  # seconds
ONE_A_JOB = ("nodes", "tasks_per_node", "gpus_per_node", "num_gpus")  # the last is Ray's
DAY = 24 * 60  # minutes of a job, unless it asks for others; submitit's default is a few


class Job(Protocol):
    """A pack that was submitted."""

    def done(self) -> bool: ...

    def result(self) -> list[Outcome]: ...


@dataclass
class Engine:
    """Where jobs run.

    submit: submits a job with the arguments of `_train_pack`.
    at_once: the most jobs that are submitted at the same time.
    threads: of each job; None leaves them to the engine.
    """

    submit: Callable[..., Job]
    at_once: float = math.inf
    threads: int | None = None


def open_engine(where: str, job: Values, ray_init: Values, folder: Path, n_packs: int) -> Engine:
    """The engine of pack.on.

    Args:
        where: local, slurm or ray.
        job: what each job asks for: submitit's parameters, or the options of a Ray task.
        ray_init: the keys of ray.init.
        folder: for what submitit writes.
        n_packs: of the sweep.

    Raises:
        UsageError: it is not installed, is not there, or does not take what is asked for, or a job asks for several
            GPUs.
    """
    for key in ONE_A_JOB:
        if isinstance(count := job.get(key), int | float) and count > 1:
            raise UsageError(
                f"hydra.launcher.job.{key}={count}: a job trains one pack, in one process on one GPU; give 1. Smaller "
                "packs are more jobs: pack.max_runs=4."
            )
    package, extra = ("ray", "ray") if where == "ray" else ("submitit", "slurm")
    try:
        engine = importlib.import_module(package)
    except ImportError as error:
        raise UsageError(f"pack.on={where} needs {package}: pip install -e '.[{extra}]'") from error
    try:
        if where == "ray":
            return _open_ray(engine, job, ray_init)
        return _open_submitit(engine, where, job, folder, n_packs)
    except Exception as error:  # whatever an engine raises that does not know a key, or does not start
        asked = "hydra.launcher.job and hydra.launcher.ray" if where == "ray" else "hydra.launcher.job"
        raise UsageError(f"pack.on={where} cannot be used ({first_line(error)}); change {asked}.") from error


def _open_submitit(submitit: ModuleType, where: str, job: Values, folder: Path, n_packs: int) -> Engine:
    executor = submitit.AutoExecutor(folder=str(folder / "%j"), cluster=where)
    submit = functools.partial(executor.submit, _train_pack)
    if where == "slurm":
        executor.update_parameters(**{"timeout_min": DAY} | job)
        return Engine(submit)
    gpus = len(list_gpus())
    executor.update_parameters(**{"gpus_per_node": min(gpus, 1), "timeout_min": DAY} | job)
    at_once = 1 if gpus else count_processes(None, n_packs)
    return Engine(submit, at_once, share_threads(at_once))


def _open_ray(ray: ModuleType, job: Values, ray_init: Values) -> Engine:
    if not ray.is_initialized():
        end = signal.getsignal(signal.SIGTERM)
        ray.init(**ray_init)
        signal.signal(signal.SIGTERM, end)  # Ray's own kills the workers before they have saved their runs
    gpus = {"num_gpus": 1} if ray.cluster_resources().get("GPU") else {}
    train = ray.remote(**{"max_retries": 0} | gpus | job)(_train_pack)
    return Engine(lambda *arguments: train.remote(*arguments).future())


def split_into_packs(configs: list[Config], max_runs: int | None) -> list[list[int]]:
    """The numbers of the runs of each job: as many as train together, or as a trial on the node may choose."""
    groups: dict[str, list[int]] = {}
    for number, config in enumerate(configs):
        groups.setdefault(identify_group(config), []).append(number)
    size = max_runs or SIZES[-1]
    return [numbers[at : at + size] for numbers in groups.values() for at in range(0, len(numbers), size)]


def train_in_jobs(
    configs: list[Config], packs: list[list[int]], engine: Engine, prepare: Callable[[], None]
) -> list[Outcome]:
    """`train_all`, each pack in a job.

    Args:
        packs: the numbers of their runs.
        prepare: is called first in each job; it has to be picklable.
    """
    max_runs, folder = largest_pack(configs), os.getcwd()
    waiting = deque((numbers, TRIES) for numbers in packs)
    running: list[tuple[Job, list[int], int]] = []
    outcomes: dict[int, Outcome] = {}
    while waiting or running:
        while waiting and len(running) < engine.at_once:
            numbers, tries = waiting.popleft()
            part = [configs[number] for number in numbers]
            job = engine.submit(part, max_runs, folder, engine.threads, prepare)
            running.append((job, numbers, tries - 1))
        over = [each for each in running if each[0].done()]
        running = [each for each in running if each not in over]
        for job, numbers, tries in over:
            try:
                outcomes |= zip(numbers, job.result(), strict=True)
            except Exception as error:  # each engine has its own for a process that died
                if tries:
                    log.warning("%s; its runs are handed in again.", _describe_loss(error))
                    waiting.append((numbers, tries))
                else:
                    outcomes |= dict.fromkeys(numbers, RuntimeError(f"{_describe_loss(error)}, {TRIES} times"))
                continue
            counts = Counter(name_outcome(outcomes[number]) for number in numbers)
            said = ", ".join(f"{count} {how}" for how, count in counts.items())
            log.info("A job is over: %s; %d of %d runs done.", said, len(outcomes), len(configs))
        if not over:
            time.sleep(POLL)
    return [outcomes[number] for number in range(len(configs))]


def _describe_loss(error: Exception) -> str:
    return f"A job ended without results ({describe_error(error)})"


def _train_pack(
    configs: list[Config], max_runs: int | None, folder: str, threads: int | None, prepare: Callable[[], None]
) -> list[Outcome]:
    """What a job does."""
    os.chdir(folder)  # Ray starts its processes elsewhere
    prepare()
    if threads is not None:
        torch.set_num_threads(threads)
    with ending_with_command():
        outcomes = train_all(configs, max_runs, loader=loader_of(threading.get_ident()))
    return [make_sendable(outcome) for outcome in outcomes]
