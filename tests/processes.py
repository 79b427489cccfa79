"""Real processes that start at once: forked from one that has imported the slow libraries already.

A fresh interpreter imports torch and transformers for seconds before it does anything. What a test needs of a process
(its own memory, exit code and signals) a fork of a warm one has as well. What needs a fresh interpreter, for it looks
at what is imported or reads the environment while importing, starts one by itself.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(
    ["torch", "transformers", "safetensors.torch", "sklearn.metrics", "rpt.train", "rpt.plan", "rpt.predict",
     "rpt.export", "rpt.results", "rpt.training.sweep"]
)  # fmt: skip


class Ended(NamedTuple):
    """What a process that is over has left; the fields are those of subprocess.CompletedProcess."""

    returncode: int
    stdout: str
    stderr: str


@dataclass
class Started:
    """A command that runs."""

    process: multiprocessing.process.BaseProcess
    folder: tempfile.TemporaryDirectory

    def send_signal(self, number: int) -> None:
        os.kill(self.process.pid, number)

    def wait(self, timeout: float) -> Ended:
        """Wait for its end.

        Raises:
            TimeoutError: it has not ended after so many seconds; it is killed then.
        """
        self.process.join(timeout)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
            raise TimeoutError(f"the command ran for more than {timeout} s:\n{self._said('stderr')}")
        return Ended(self.process.exitcode, self._said("stdout"), self._said("stderr"))

    def _said(self, stream: str) -> str:
        return Path(self.folder.name, stream).read_text(errors="replace")


def start(module: str, words: list[str], folder: Path, *, fork_children: bool = False, **environment: str) -> Started:
    """`python -m <module> <words>` in that folder.

    Args:
        fork_children: the processes that it spawns are forked instead, for tests of their signals and not their start.
    """
    streams = tempfile.TemporaryDirectory()
    own = os.environ | environment
    process = CONTEXT.Process(target=_do, args=(module, list(words), str(folder), own, streams.name, fork_children))
    process.start()
    return Started(process, streams)


def run_fresh(module: str, words: list[str], folder: Path, timeout: float = 240) -> Ended:
    """The same in an interpreter of its own, for what a fork of a warm one cannot show."""
    command = [sys.executable, "-m", module, *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=timeout)
    return Ended(done.returncode, done.stdout, done.stderr)


def _do(
    module: str, words: list[str], folder: str, environment: dict[str, str], streams: str, fork_children: bool
) -> None:
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    for stream, number in (("stdout", 1), ("stderr", 2)):
        handle = os.open(f"{streams}/{stream}", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(handle, number)
    sys.stdout = os.fdopen(1, "w", buffering=1, closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
    if fork_children:
        multiprocessing.get_context = lambda _: multiprocessing.context._concrete_contexts["fork"]
    sys.argv = [f"{module.replace('.', '/')}.py", *words]
    importlib.import_module(module).main()
