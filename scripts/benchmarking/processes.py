"""A contestant: packs in as many processes as the launcher would use."""

from __future__ import annotations

import multiprocessing
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import torch

from benchmarking.contestants import Ours
from benchmarking.measuring import profile_step
from benchmarking.settings import Request, make_setting, prepare
from rpt.training.sweep.workers import count_processes, environment_of, share_threads


class Apart:
    """The processes that the launcher would use: each trains its part of every pack.

    Args:
        batches: of 8 rows.
        sizes: runs of each pack.
    """

    def __init__(self, request: Request, batches: list[np.ndarray], sizes: tuple[int, ...]):
        context = multiprocessing.get_context("spawn")
        self.children = []
        for number in range(count_processes(None, max(sizes))):
            pipe, end = context.Pipe()
            child = context.Process(target=_train_parts, args=(end, request, batches, sizes, number), daemon=True)
            with environment_of(number):
                child.start()
            end.close()  # now only the child has it: if it dies, the pipe closes
            self.children.append((child, pipe))

    def ask(self, size: int, *question: Any) -> list[Any]:
        """The answers of all processes that train a part of the pack."""
        pipes = [pipe for _, pipe in self.children[: count_processes(None, size)]]
        for pipe in pipes:
            pipe.send((size, *question))
        return [pipe.recv() for pipe in pipes]

    def end(self) -> None:
        for child, pipe in self.children:
            pipe.close()
            child.join()


def _train_parts(
    pipe: Connection, request: Request, batches: list[np.ndarray], sizes: tuple[int, ...], number: int
) -> None:
    """The main function of a process, which trains its part of the runs and batches of every pack."""
    setting = make_setting(request)
    parts: dict[int, tuple[Ours, int]] = {}
    backbone = setting.backbone()
    run = prepare(setting.config, backbone)
    for size in sizes:
        n = count_processes(None, size)
        part_batches = [batch for i in range(0, len(batches), size) for batch in batches[i : i + size][number::n]]
        if runs := len(range(number, size, n)):
            parts[size] = Ours(run, part_batches, backbone, runs), share_threads(n)
    while True:
        try:
            size, what, *arguments = pipe.recv()
        except EOFError:  # the parent has finished or died
            return
        part, threads = parts[size]
        torch.set_num_threads(threads)
        if what == "train":
            part.train(len(part.batches))
        pipe.send(None if what == "train" else profile_step(part, *arguments))


class PackApart:
    """One of the packs of `Apart`."""

    def __init__(self, apart: Apart, size: int):
        self.apart, self.size, self.together = apart, size, size

    def train(self, batches: int) -> None:
        """Train on all batches."""
        self.apart.ask(self.size, "train")

    def evaluate(self, rows: int) -> None:
        raise NotImplementedError("its runs are evaluated one by one, as alone")

    def profile_step(self, with_shares: bool) -> dict[str, Any]:
        """The sum of all processes' peaks; the shares of time are similar in each, so they are those of the first."""
        profiles = self.apart.ask(self.size, "profile", with_shares)
        return profiles[0] | {"peak_bytes": sum(each["peak_bytes"] for each in profiles)}
