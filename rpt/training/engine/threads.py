"""Threads that wait for one another. On busy cores they take many times the processor time of a single one."""

from __future__ import annotations

import torch

from rpt.data.rows import warn_once

STEPS = 10  # to measure
FREE_CORES = 0.5  # share of the processor time that the threads would have with a free core for each


class ThreadWatch:
    """Compares the processor time of the first steps with their wall time, and warns once if the cores are busy.

    On two cores that nine processes shared, two threads of the small T5 used seven times the processor time of one
    thread for a step: each spins until the other has had its turn.
    """

    def __init__(self, device: torch.device):
        self.threads = torch.get_num_threads() if device.type == "cpu" else 1
        self.steps, self.wall, self.processor = 0, 0.0, 0.0

    def note_step(self, wall: float, processor: float) -> None:
        """Count a completed step and its seconds of wall and processor time."""
        self.steps, self.wall, self.processor = self.steps + 1, self.wall + wall, self.processor + processor
        if self.threads > 1 and self.steps == STEPS and self.processor < FREE_CORES * self.threads * self.wall:
            warn_once(
                f"{self.threads} threads have had less than half of their cores' time: other processes compute, and "
                "threads that wait for one another take several times the processor time of one; set OMP_NUM_THREADS=1."
            )
