"""A sweep in several processes. There is one for each GPU, or for each core of a processor.

Cores that share the small operations of one backbone wait for each other at the end of every one; a process on each
of them, with its own part of the runs, never waits. pack.processes asks for several processes on one GPU.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import RLock
from typing import TYPE_CHECKING

import psutil
import torch
from tqdm import tqdm

from rpt.config import Config
from rpt.errors import ONE_LINE
from rpt.training.engine.signals import Interrupted, catch_signals

if TYPE_CHECKING:
    from rpt.training.sweep.outcomes import Outcome

BYTES = 4 * 2**30  # of memory for each process: a T5-Large in half precision, a pass, the libraries


def list_gpus() -> list[str]:
    """Names of the GPUs that this process sees, as in CUDA_VISIBLE_DEVICES; empty without a GPU."""
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return (visible.split(",") if visible else [str(i) for i in range(count)])[:count]


def largest_pack(configs: list[Config]) -> int | None:
    """The largest pack.max_runs of the sweep; None if a run leaves it to a trial."""
    sizes = [config.pack.max_runs for config in configs if config.pack.max_runs is not None]
    return max(sizes) if len(sizes) == len(configs) else None


def count_processes(asked: int | None, runs: int) -> int:
    """The number of processes for so many runs: `asked`, or one for each GPU; without a GPU one for each core, as far
    as memory allows."""
    fitting = len(list_gpus()) or min(torch.get_num_threads(), psutil.virtual_memory().total // BYTES)
    return max(1, min(runs, asked or fitting))


def count_devices(n_processes: int) -> int:
    """The number of devices that the processes compute on: the GPUs, or without one the cores of each process."""
    return min(n_processes, len(list_gpus()) or n_processes)


def count_gpu_processes(n_processes: int, number: int = 0) -> int:
    """The number of processes on the device of process `number`, itself included; the first device has the most."""
    return len(range(number % count_devices(n_processes), n_processes, count_devices(n_processes)))


def share_threads(n_processes: int) -> int:
    """The number of threads of each process: processes share the cores, and each has at least one."""
    return max(1, torch.get_num_threads() // n_processes)


def train_in_processes(
    configs: list[Config], max_runs: int | None, n_processes: int, prepare: Callable[[], None]
) -> list[Outcome]:
    """`train_all`, each process with its part of the runs and of the cores.

    Args:
        max_runs: of a pack; a process trains one pack at a time. None lets a trial in each process decide.
        prepare: is called first in each process; it has to be picklable.

    Raises:
        Interrupted: on SIGTERM or SIGINT, after every process has saved its runs and ended.
    """
    if n_processes == 1:
        from rpt.training.sweep.sweep import train_all  # the slow libraries, which else only the children need

        return train_all(configs, max_runs)
    # Runs that can be trained together come one after another here, so that each process gets its part of each pack.
    order = sorted(range(len(configs)), key=lambda i: (configs[i].backbone.name, configs[i].task.name))
    threads = share_threads(n_processes)
    context = multiprocessing.get_context("spawn")  # a fork of a process that has used its threads may hang
    lock = context.RLock()  # of the progress bars
    children: list[tuple[BaseProcess, Connection, list[int]]] = []
    for number in range(n_processes):
        part = order[number::n_processes]
        receiver, sender = context.Pipe(duplex=False)
        gpu_processes = count_gpu_processes(n_processes, number)
        arguments = sender, [configs[i] for i in part], max_runs, gpu_processes, threads, prepare, lock
        child = context.Process(target=_train_part, args=arguments)
        with environment_of(number):
            child.start()
        sender.close()  # the child has the only one left: when it dies, nothing more can come
        children.append((child, receiver, part))
    outcomes = _collect(children)
    return [outcomes[i] for i in range(len(configs))]


def _collect(children: list[tuple[BaseProcess, Connection, list[int]]]) -> dict[int, Outcome]:
    """The outcomes of all runs by their numbers, once every process has ended. Signals are passed on to the processes.

    Raises:
        Interrupted: there was one.
    """

    def forward(caught: list[int]) -> None:
        for child, *_ in children:
            with suppress(ProcessLookupError):  # it has ended since
                if child.pid is not None and child.is_alive():
                    os.kill(child.pid, caught[-1])

    outcomes: dict[int, Outcome] = {}
    with catch_signals(forward) as caught:
        for child, receiver, numbers in children:
            outcomes |= zip(numbers, _receive(child, receiver, len(numbers)), strict=True)
    if caught:
        raise Interrupted(128 + caught[0])
    return outcomes


@contextmanager
def environment_of(number: int) -> Iterator[None]:
    """A process that is started inside sees one GPU alone and shows its progress bars on its own line. torch and tqdm
    read both from the environment when they are imported."""
    variables, gpus = {"TQDM_POSITION": str(number)}, list_gpus()
    if gpus:
        variables["CUDA_VISIBLE_DEVICES"] = gpus[number % len(gpus)]
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            del os.environ[name]
            if value is not None:
                os.environ[name] = value


def _train_part(
    sender: Connection,
    configs: list[Config],
    max_runs: int | None,
    gpu_processes: int,
    threads: int,
    prepare: Callable[[], None],
    lock: RLock,
) -> None:
    """What a child does."""
    if hasattr(os, "setsid"):
        os.setsid()  # Ctrl-C goes to the parent, which passes it on: twice would mean at once
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(threads)
    if gpu_processes > 1:
        torch.cuda.set_per_process_memory_fraction(1 / gpu_processes)
    tqdm.set_lock(lock)
    prepare()
    from rpt.training.sweep.sweep import train_all

    sender.send([make_sendable(outcome) for outcome in train_all(configs, max_runs, gpu_processes)])


def _end_with_parent() -> None:
    """End when the parent is killed: a child that went on would lock its runs against the next command."""
    if parent := multiprocessing.parent_process():
        parent.join()
    os._exit(1)


def make_sendable(outcome: Outcome) -> Outcome:
    """Not every library's exceptions survive the way to another process; ours do."""
    if isinstance(outcome, (float, *ONE_LINE)):
        return outcome
    return RuntimeError(f"{type(outcome).__name__}: {outcome}")


def _receive(child: BaseProcess, receiver: Connection, runs: int) -> list[Outcome]:
    try:
        return receiver.recv()
    except EOFError:
        child.join()  # for its code
        died = RuntimeError(
            f"a process of the sweep ended with code {child.exitcode} before its {runs} runs were over; the same "
            "command goes on from here, and pack.processes=1 needs the least memory"
        )
        return [died] * runs
