"""How many runs train together. As many as a short trial on this device finds fastest.

More rows in a pass save launches, and time on a device that has room for them; where caches are the limit they cost
time. Which of the two holds depends on device, backbone and rows; we found no rule for it.
"""

from __future__ import annotations

import logging
import time
from copy import deepcopy
from itertools import cycle, islice

import numpy as np

from rpt.backbones import Backbone
from rpt.backbones.device import forget_peak_memory, keep_generators
from rpt.training.engine.pack import Pack
from rpt.training.run.run import TrainingRun, read_losses

log = logging.getLogger(__name__)
SIZES = (1, 2, 4, 8, 16)  # runs
DEFAULT_RUNS = 4  # good on all processors that we measured; if a trial costs too much or finds no clear winner
MIN_STEPS_RATIO = 10  # a trial is worth its time if the sweep has this many times as many steps
SECONDS = 6.0  # of a trial, about
BATCHES = (16, 8, 4)  # to try each size on: the most that there is time for
MIN_SIZES = 3  # a trial of fewer sizes tells nothing
CLEARLY = 1.05  # times the default's rate; a smaller lead may be the noise of so short a trial
SLOWER = 0.9  # of the best rate; if a size is slower, larger ones are not tried


def choose_max_runs(run: TrainingRun, backbone: Backbone, waiting: int, max_tokens: float) -> int:
    """How many runs like this one a pack should have at most. Neither the run nor a random generator is touched.

    Args:
        waiting: how many runs there are.
        max_tokens: of a pass.
    """
    sizes = [size for size in SIZES if size <= waiting]
    if waiting < DEFAULT_RUNS or waiting * run.total_steps < MIN_STEPS_RATIO * len(sizes) * BATCHES[0]:
        return DEFAULT_RUNS
    began = time.perf_counter()
    with keep_generators():
        rates = try_sizes(sizes, run, backbone, max_tokens)
    forget_peak_memory()  # the trial's is no run's
    best = max(rates, key=lambda size: rates[size], default=DEFAULT_RUNS)
    chosen = best if DEFAULT_RUNS in rates and rates[best] > CLEARLY * rates[DEFAULT_RUNS] else DEFAULT_RUNS
    log.info(
        "Packs of %d, by a trial of %.1f s: %s; pack.max_runs=N sets it.",
        chosen,
        time.perf_counter() - began,
        ", ".join(f"{size} at once {rate:.0f} rows/s" for size, rate in rates.items())
        or "a step takes too long to try more",
    )
    return chosen


def try_sizes(sizes: list[int], run: TrainingRun, backbone: Backbone, max_tokens: float) -> dict[int, float]:
    """Rows per second of each size, from the smallest on, while there is time and larger packs are not slower."""
    ends = time.perf_counter() + SECONDS
    batches = list(islice(make_copy(run).steps(), BATCHES[0]))  # from the first step, although the run may resume

    def time_batches(size: int, number: int) -> tuple[float, int]:
        dealt = list(islice(cycle(batches), number))
        seconds = time_steps([make_copy(run) for _ in range(size)], backbone, max_tokens, dealt)
        return seconds, sum(map(len, dealt))

    of_one, _ = time_batches(1, 1)
    if of_one < SECONDS / 4:  # else there is no time to lose
        of_one, _ = time_batches(1, 1)  # the first is not like the others
    number = next((n for n in BATCHES if n * of_one < SECONDS / len(sizes)), BATCHES[-1])
    rounds = min(3, max(1, int(SECONDS / len(sizes) / (number * of_one))))
    rates: dict[int, float] = {}
    if MIN_SIZES * number * of_one > SECONDS:
        return rates
    for size in sizes:
        number = max(size, number)
        if time.perf_counter() + number * of_one > ends:
            break
        seconds, rows = min(time_batches(size, number) for _ in range(rounds))
        rates[size] = rows / seconds
        if size >= DEFAULT_RUNS and rates[size] < SLOWER * max(rates.values()):
            break
    return rates


def time_steps(runs: list[TrainingRun], backbone: Backbone, max_tokens: float, batches: list[np.ndarray]) -> float:
    """Seconds that a pack of these runs takes for the batches, dealt out to them."""
    pack = Pack(backbone, len(runs), max_tokens, graphs=False)  # to record them takes longer than the trial
    pack.join(runs)
    pack.active = {run: iter(batches[r :: len(runs)]) for r, run in enumerate(runs)}
    began = time.perf_counter()
    for _ in range(len(batches) // len(runs)):
        pack.step()
    read_losses(runs)  # waits for the device
    return time.perf_counter() - began


def make_copy(run: TrainingRun) -> TrainingRun:
    """A run with the same rows whose parameters are its own."""
    prompt, head = deepcopy(run.soft_prompt), deepcopy(run.head)
    return TrainingRun(run.config, run.record, prompt, head, run.weights, run.rows, run.select, run.report)
