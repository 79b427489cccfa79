"""Packs in the processes that the launcher would give them."""

from __future__ import annotations

import multiprocessing
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import torch

from benchmarking.contestants import Ours
from benchmarking.measuring import profile_step
from benchmarking.settings import Words, make_setting, prepare
from rpt.training.sweep.workers import count_processes, environment_of, share_threads


class Apart:
    """The processes that the launcher would give to our packs: each trains its part of every pack.

    Args:
        batches: of 8 rows.
        sizes: runs of each pack.
    """

    def __init__(self, words: Words, batches: list[np.ndarray], sizes: tuple[int, ...]):
        context = multiprocessing.get_context("spawn")
        self.children = []
        for number in range(count_processes(None, max(sizes))):
            pipe, end = context.Pipe()
            child = context.Process(target=_train_parts, args=(end, words, batches, sizes, number), daemon=True)
            with environment_of(number):
                child.start()
            end.close()  # the child has the only one left: when it dies, nothing more can come
            self.children.append((child, pipe))

    def ask(self, size: int, *question: Any) -> list[Any]:
        """The answers of all processes that have a part of the pack."""
        pipes = [pipe for _, pipe in self.children[: count_processes(None, size)]]
        for pipe in pipes:
            pipe.send((size, *question))
        return [pipe.recv() for pipe in pipes]

    def end(self) -> None:
        for child, pipe in self.children:
            pipe.close()
            child.join()


def _train_parts(
    pipe: Connection, words: Words, batches: list[np.ndarray], sizes: tuple[int, ...], number: int
) -> None:
    """What a process does: for every pack, the part of its runs and batches that this number's process gets."""
    setting, parts = make_setting(words), {}
    backbone = setting.backbone()
    run = prepare(setting.config, backbone)
    for size in sizes:
        n = count_processes(None, size)
        own = [batch for i in range(0, len(batches), size) for batch in batches[i : i + size][number::n]]
        if runs := len(range(number, size, n)):
            parts[size] = Ours(run, own, backbone, runs), share_threads(n)
    while True:
        try:
            size, what, *given = pipe.recv()
        except EOFError:  # the parent is done with it, or dead
            return
        part, threads = parts[size]
        torch.set_num_threads(threads)
        pipe.send(part.train(len(part.batches)) if what == "train" else profile_step(part, *given))


class PackApart:
    """One of the packs of `Apart`."""

    def __init__(self, apart: Apart, size: int):
        self.apart, self.size, self.together = apart, size, size

    def train(self, _batches: int) -> None:
        """On all of them."""
        self.apart.ask(self.size, "train")

    def profile_step(self, with_shares: bool) -> dict[str, Any]:
        """All processes' peaks together; where the time goes is much the same in each."""
        found = self.apart.ask(self.size, "profile", with_shares)
        return found[0] | {"peak_bytes": sum(of["peak_bytes"] for of in found)}
