"""Start real processes quickly, as forks of one that has imported the slow libraries and composed a configuration.

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
import threading
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Listener
from pathlib import Path
from typing import NamedTuple

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(
    ["torch", "transformers", "safetensors.torch", "sklearn.metrics", "rpt.train", "rpt.plan", "rpt.predict",
     "rpt.export", "rpt.results", "rpt.training.sweep.sweep", "rpt.reports.report", "tests.warm"]
)  # fmt: skip


class Ended(NamedTuple):
    """The outcome of a process; the fields are those of subprocess.CompletedProcess."""

    returncode: int
    stdout: str
    stderr: str


@dataclass
class Started:
    """A running command."""

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


def start(
    module: str,
    arguments: list[str],
    folder: Path,
    *,
    standard_input: str = "",
    fork_children: bool = False,
    **environment: str,
) -> Started:
    """Start `python -m <module> <arguments>` in that folder.

    Args:
        standard_input: what it reads there.
        fork_children: fork its child processes instead of spawning them, for tests of signals.
        environment: variables that it has besides those of this process.
    """
    streams = tempfile.TemporaryDirectory()
    Path(streams.name, "stdin").write_text(standard_input)
    private = os.environ | environment
    process = CONTEXT.Process(
        target=_do, args=(module, list(arguments), str(folder), private, streams.name, fork_children)
    )
    process.start()
    return Started(process, streams)


# Replaces python in a script: sends its arguments and its input to the test.
STAND_IN = """\
#!{python} -IS
import os, sys
from multiprocessing.connection import Client
with Client("{socket}") as asked:
    asked.send((sys.argv[1:], os.getcwd(), sys.stdin.read()))
    code, out, err = asked.recv()
sys.stdout.write(out)
sys.stderr.write(err)
sys.exit(code)
"""


def run_script(script: str, folder: Path, timeout: float = 280, **environment: str) -> Ended:
    """Run shell commands in the folder up to the first that fails; `start` runs each `python -m ...`."""
    with tempfile.TemporaryDirectory() as private, Listener(f"{private}/socket", "AF_UNIX") as listener:

        def answer() -> None:
            with suppress(OSError):  # that it is closed, in the end
                while True:
                    with listener.accept() as asked:
                        (_, module, *arguments), where, standard_input = asked.recv()
                        ended = start(module, arguments, Path(where), standard_input=standard_input, **environment)
                        asked.send(tuple(ended.wait(timeout)))

        threading.Thread(target=answer, daemon=True).start()
        python = Path(private, "python")
        python.write_text(STAND_IN.format(python=sys.executable, socket=f"{private}/socket"))
        python.chmod(0o755)
        paths = os.environ | environment | {"PATH": f"{private}:{os.environ['PATH']}"}
        how = {"stdin": subprocess.DEVNULL, "capture_output": True, "text": True, "timeout": timeout}
        done = subprocess.run(["bash", "-e", "-c", script], cwd=folder, env=paths, **how)
        return Ended(done.returncode, done.stdout, done.stderr)


def run_fresh(module: str, arguments: list[str], folder: Path, timeout: float = 240) -> Ended:
    """Run a command in a new interpreter, for what a fork cannot show."""
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=timeout)
    return Ended(done.returncode, done.stdout, done.stderr)


# Forks for each command, so that each begins as a new interpreter that has imported the commands.
LIST_IMPORTS = """\
import importlib, os, sys
from ast import literal_eval
folder, commands = sys.argv[1], literal_eval(sys.argv[2])
mains = [importlib.import_module(f"rpt.{module}").main for module, _ in commands]
for number, (module, arguments) in enumerate(commands):
    if os.fork():
        os.wait()
        continue
    for stream in (1, 2):
        os.dup2(os.open(f"{folder}/{number}.{stream}", os.O_WRONLY | os.O_CREAT), stream)
    sys.argv = [module, *arguments]
    try:
        mains[number]()
    except SystemExit as ended:
        print("code", ended.code)
    print("imported", {"torch", "transformers", "sklearn", "wandb", "matplotlib", "pandas"} & set(sys.modules))
    sys.exit()
"""


def run_and_list_imports(*commands: tuple[str, list[str]]) -> list[tuple[list[str], Ended]]:
    """Run commands in a new interpreter, each a module and arguments.

    Returns:
        The arguments of each, and its outcome: the last line names the slow libraries that it imported.
    """
    with tempfile.TemporaryDirectory() as folder:
        program = [sys.executable, "-c", LIST_IMPORTS, folder, repr(commands)]
        subprocess.run(program, check=True)
        said = [[Path(folder, f"{number}.{i}").read_text() for i in (1, 2)] for number in range(len(commands))]
    return [(arguments, Ended(0, *of_command)) for (_, arguments), of_command in zip(commands, said, strict=True)]


def _do(
    module: str, arguments: list[str], folder: str, environment: dict[str, str], streams: str, fork_children: bool
) -> None:
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    os.dup2(os.open(f"{streams}/stdin", os.O_RDONLY), 0)
    sys.stdin = os.fdopen(0, closefd=False)
    for stream, number in (("stdout", 1), ("stderr", 2)):
        handle = os.open(f"{streams}/{stream}", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(handle, number)
    sys.stdout = os.fdopen(1, "w", buffering=1, closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
    if fork_children:
        multiprocessing.get_context = lambda _: multiprocessing.context._concrete_contexts["fork"]
    sys.argv = [f"{module.replace('.', '/')}.py", *arguments]
    importlib.import_module(module).main()
