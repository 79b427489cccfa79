"""Seconds, memory, operations, kernels and waits of a contestant."""

from __future__ import annotations

import statistics
import time
import warnings
from collections import Counter
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import torch
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from rpt.backbones import T5Backbone
from rpt.backbones.device import DTYPES

MATMULS = ("aten::mm", "aten::addmm", "aten::bmm", "aten::baddbmm", "aten::linear")
ATTENTION = ("aten::_scaled_dot_product", "aten::_softmax", "aten::_efficient_attention", "aten::_flash_attention")
NO_KERNELS = ("Memcpy", "Memset", "Optimizer.")  # what a profile lists of a GPU beside them
WAIT = "synchronizing CUDA operation"  # in torch's warning
COUNTED = 4  # steps between which waits are counted


class Contestant(Protocol):
    """Who trains on the batches. together: how many a step takes."""

    together: int

    def train(self, batches: int) -> float | None: ...

    def evaluate(self, rows: int) -> None: ...


def measure_seconds(call: Callable[[], Any]) -> float:
    """Seconds, by the call's own count if it returns one."""
    _await_device()
    began = time.perf_counter()
    own = call()
    _await_device()
    return own if isinstance(own, float) else time.perf_counter() - began


def profile_step(contestant: Contestant, with_shares: bool) -> dict[str, Any]:
    """A step on the longest batch: peak bytes and, as it takes long, only where asked for each kind of operator's share
    of the time; on a GPU its kernels and its waits too."""
    return (_profile_on_gpu if torch.cuda.is_available() else _profile_on_processor)(contestant, with_shares)


def _profile_on_processor(contestant: Contestant, with_shares: bool) -> dict[str, Any]:
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        contestant.train(contestant.together)
    changes = [e.nbytes() for e in seen.profiler.kineto_results.events() if e.name() == "[memory]"]
    peak = {"peak_bytes": int(np.cumsum(changes).max(initial=0))}
    return peak | ({"shares": _share_time(seen, "self_cpu_time_total")} if with_shares else {})


def _profile_on_gpu(contestant: Contestant, with_shares: bool) -> dict[str, Any]:
    torch.cuda.reset_peak_memory_stats()
    held = torch.cuda.memory_allocated()  # by the weights of all contestants
    contestant.train(contestant.together)
    found: dict[str, Any] = {"peak_bytes": torch.cuda.max_memory_allocated() - held}
    # What surrounds the steps, such as the reading of the losses, is in both and cancels out.
    few, many = (count_waits(lambda n=n: contestant.train(n * contestant.together)) for n in (1, 1 + COUNTED))
    found["waits"] = (many - few) / COUNTED
    try:
        return found | _profile_kernels(contestant, with_shares)
    except Exception as error:  # not every machine lets a GPU be profiled
        return found | {"unprofiled": f"{type(error).__name__}: {error}"}


def _profile_kernels(contestant: Contestant, with_shares: bool) -> dict[str, Any]:
    activities = [ProfilerActivity.CUDA, *([ProfilerActivity.CPU] if with_shares else [])]
    with profile(activities=activities) as seen:
        contestant.train(contestant.together)
        torch.cuda.synchronize()
    events = seen.profiler.kineto_results.events()
    kernels = Counter(
        e.name()[:60] for e in events if e.device_type() == DeviceType.CUDA and not e.name().startswith(NO_KERNELS)
    )
    found: dict[str, Any] = {"kernels": kernels.total(), "most_kernels": dict(kernels.most_common(25))}
    return found | ({"shares": _share_time(seen, "self_device_time_total")} if with_shares else {})


def _share_time(seen: profile, spent: str) -> dict[str, float]:
    # Kernels stand under the operators that started them, and once more by themselves, which are no CPU events.
    operators = [e for e in seen.key_averages() if e.device_type == DeviceType.CPU]
    times = {e.key: getattr(e, spent) for e in operators}
    total = sum(times.values())
    shares = {
        "matrix products": sum(t for key, t in times.items() if key in MATMULS) / total,
        "attention and softmax": sum(t for key, t in times.items() if key.startswith(ATTENTION)) / total,
    }
    return shares | {"everything else": 1 - sum(shares.values())}


def count_waits(call: Callable[[], Any]) -> int:
    """How often the processor waits for the GPU."""
    before = torch.cuda.get_sync_debug_mode()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            call()
        finally:
            torch.cuda.set_sync_debug_mode(before)
    return sum(WAIT in str(warning.message) for warning in caught)


def count_flops(contestant: Contestant, batches: int) -> int:
    """Floating-point operations of training on so many batches: forward, and backward through the activations."""
    with FlopCounterMode(display=False) as counted:
        contestant.train(batches)
    return counted.get_total_flops()


def measure_matmul_rate(backbone: T5Backbone, precision: str) -> float:
    """Floating-point operations per second of a large product in that precision: on a processor of the widest layer's,
    on a GPU of one that fills it."""
    config, dtype, gpu = backbone.model.config, DTYPES.get(precision, torch.float32), backbone.device.type == "cuda"
    rows, inner, columns = (8192, 8192, 8192) if gpu else (4096, config.d_model, config.d_ff)
    at_once = 10 if gpu else 1  # the launch of a single one would count
    left = torch.randn(rows, inner, device=backbone.device).to(dtype)
    right = torch.randn(columns, inner, device=backbone.device).to(dtype)

    def multiply() -> None:
        for _ in range(at_once):
            torch.nn.functional.linear(left, right)

    seconds = [measure_seconds(multiply) for _ in range(8 if gpu else 60)]
    return 2 * at_once * rows * inner * columns / statistics.median(seconds[len(seconds) // 6 :])


def _await_device() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
