"""Does a backbone fit a device? And how long does a run take there? Answered before its weights are downloaded."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import psutil
import torch

from rpt.backbones.device import DTYPES, name_device, precision_of
from rpt.backbones.footprint import Footprint, measure_footprint, read_model_config
from rpt.config import Config
from rpt.data.splits import TaskData
from rpt.errors import UsageError
from rpt.training.run.loader import Loader
from rpt.training.sweep.estimate import Rates, duration
from rpt.training.sweep.outcomes import say_time

GIB = 2**30
RESERVED = GIB  # of a GPU: CUDA's context and the workspaces of its libraries
SPEEDS = {24: 165e12, 80: 312e12}  # operations a second in bf16 of an RTX 4090 and an A100, as their maker says
REACHED = 0.4  # of that, or of a product of large matrices, by a whole pass
CHARACTERS = 4  # of a token, about
WIDTH = 24  # of a column


@dataclass(frozen=True)
class Device:
    """memory: bytes that training may take. speed: operations a second, where it is known."""

    name: str
    memory: int
    speed: float | None


def plan_backbone(config: Config, cards: Sequence[int]) -> str:
    """What training with this configuration takes, as lines of a table: one for each way to keep the weights.

    Args:
        cards: gigabytes of GPUs; none is this machine.

    Raises:
        UsageError: config.json cannot be had, or another method than prompt tuning is asked for.
    """
    if not config.tunes_prompt:
        raise UsageError(f"rpt.plan backbone=… is for prompt tuning; leave out method={config.method.name}.")
    model_config = read_model_config(config.backbone)
    on_gpu = bool(cards) or torch.cuda.is_available()
    precision = precision_of(config)
    if cards and config.trainer.precision == "auto":
        precision = "bf16"
    devices = [Device(f"{card} GB card", card * GIB - RESERVED, SPEEDS.get(card)) for card in cards]
    devices = devices or [_find_this_device(precision)]
    data = None if config.data.name == "hub" else Loader().rows(config)
    lines: list[str] = []
    rows = config.trainer.batch_size
    for recomputes in sorted({True, config.trainer.gradient_checkpointing}):
        footprint = measure_footprint(
            model_config, config.backbone, config.prompt.length, precision, recomputes, on_gpu
        )
        if not lines:
            lines = _describe(config, footprint, precision, devices, data)
        kinds = list(footprint.weights) if config.backbone.weights == "auto" else [config.backbone.weights]
        for kind in kinds:
            memory = f"{footprint.peak(kind, rows) / GIB:.1f} GiB"
            cells = [_judge(config, footprint, kind, device, data) for device in devices]
            lines.append(_row([kind, str(recomputes).lower(), memory, *cells]))
    return "\n".join(lines)


def _describe(
    config: Config, footprint: Footprint, precision: str, devices: list[Device], data: TaskData | None
) -> list[str]:
    """What holds for all lines, and their heading."""
    host = footprint.stored if precision in DTYPES else max(footprint.stored, 4 * footprint.parameters)
    of_what = "a run" if data else "1,000 rows"
    return [
        f"{config.backbone.name}: {footprint.parameters:,} weights, {host / GIB:.1f} GiB of the host to load them, "
        f"computed in {precision}; {config.trainer.batch_size} rows of {config.backbone.max_tokens} tokens a pass; "
        f"times are of {of_what}, about",
        "",
        _row(["weights", "checkpointing", "memory", *(device.name for device in devices)]),
    ]


def _row(cells: list[str]) -> str:
    first, *others = cells
    return (f"{first:<9}" + "".join(f"{cell:>{15 if i < 2 else WIDTH}}" for i, cell in enumerate(others))).rstrip()


def _judge(config: Config, footprint: Footprint, kind: str, device: Device, data: TaskData | None) -> str:
    """Whether it fits: as asked for, or in smaller passes, as training makes them by itself; and the time."""
    rows = footprint.fit_rows(kind, device.memory, config.trainer.batch_size)
    if rows == 0:
        return "does not fit"
    fits = "fits" if rows == config.trainer.batch_size else f"{rows} rows a pass"
    if device.speed is None:
        return fits
    rate = REACHED * device.speed / footprint.operations  # rows a second, of full length
    if data is None:
        return f"{fits}, {say_time(1000 / rate)}"
    rate /= _fill(config, data)
    return f"{fits}, {say_time(duration(config, Rates(rate, 2 * rate, 0.0, 0), data))}"  # evaluation: forward alone


def _fill(config: Config, data: TaskData) -> float:
    """How much of backbone.max_tokens the rows have on average, by their characters."""
    most = config.backbone.max_tokens
    texts = [sum(len(text) for text in example.fields.values() if isinstance(text, str)) for example in data.train]
    return sum(min(most, config.prompt.length + text / CHARACTERS) for text in texts) / (most * len(texts))


def _find_this_device(precision: str) -> Device:
    if torch.cuda.is_available():
        memory, device = torch.cuda.get_device_properties(0).total_memory - RESERVED, "cuda"
    else:
        memory, device = psutil.virtual_memory().available, "cpu"
    return Device(name_device()[:WIDTH], memory, _measure_speed(device, DTYPES.get(precision, torch.float32)))


def _measure_speed(device: str, dtype: torch.dtype) -> float:
    """Operations a second of products of large matrices."""
    width, times = 1024, 4
    matrix = torch.ones(width, width, device=device, dtype=dtype)
    (matrix @ matrix)[0, 0].item()  # the first one loads libraries
    began = time.perf_counter()
    for _ in range(times):
        product = matrix @ matrix
    product[0, 0].item()  # waits for the device
    return times * 2 * width**3 / (time.perf_counter() - began)
