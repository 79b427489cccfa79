"""Workers of other launchers. Those are joblib, submitit_local and ray. On a signal a worker writes a checkpoint and
ends; the command ends after its workers.

During a sweep the command holds a lock on one file, and its workers share a lock on another. A lock ends with its
process, however that ends.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import NoReturn

import psutil

from rpt.training.engine.signals import Interrupted, interrupt_once

FOLDER = "RPT_SWEEP"  # the environment variable that names the folder of the two files to the workers
COMMAND, WORKERS = "command", "workers"
_commands: set[int] = set()  # this process, if it is the command


@contextmanager
def ending_with_workers() -> Iterator[None]:
    """Run a sweep inside. SIGTERM tells the workers to end, and waits for them; a second one ends it all at once."""
    with tempfile.TemporaryDirectory(prefix="rpt-sweep-") as folder:
        command = _lock(Path(folder, COMMAND), fcntl.LOCK_EX)

        def end(number: int, _: object) -> NoReturn:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.close(command)
            _lock(Path(folder, WORKERS), fcntl.LOCK_EX)
            for idle in psutil.Process().children(recursive=True):
                with suppress(psutil.NoSuchProcess):  # it has ended since
                    idle.terminate()
            shutil.rmtree(folder, ignore_errors=True)  # a worker that only starts may make its file meanwhile
            os._exit(128 + number)

        before = signal.signal(signal.SIGTERM, end)
        os.environ[FOLDER] = folder
        _commands.add(os.getpid())
        try:
            yield
        finally:
            del os.environ[FOLDER]
            signal.signal(signal.SIGTERM, before)
            os.close(command)


@contextmanager
def ending_with_command() -> Iterator[None]:
    """Train a run of a sweep inside: a worker ends when its command does. In any other process this does nothing."""
    is_worker = _watch_command(os.getpid())
    try:
        yield
    except Interrupted as interrupted:
        if not is_worker:
            raise
        sys.stdout.flush()
        os._exit(int(interrupted.code or 1))  # were it only raised, the worker would go on with its next run


@cache
def _watch_command(process: int) -> bool:
    """Whether this process is a worker, other than Slurm's, which go on by themselves; then a thread waits for the
    command's end."""
    folder = os.environ.get(FOLDER)
    if not folder or process in _commands or os.environ.get("SUBMITIT_EXECUTOR") == "slurm":
        return False
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # submitit passes over it
    with suppress(FileNotFoundError):  # the command has ended
        _lock(Path(folder, WORKERS), fcntl.LOCK_SH)
    threading.Thread(target=_end_after_command, args=(Path(folder, COMMAND),), daemon=True).start()
    return True


def _end_after_command(path: Path) -> None:
    with suppress(FileNotFoundError):
        _lock(path, fcntl.LOCK_SH)
    interrupt_once()


def _lock(path: Path, how: int) -> int:
    """Open and lock the file, waiting for the lock; closing the file unlocks it."""
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(file, how)
    return file
