"""Measure seconds, memory, operations, kernels and waits of a contestant."""

from __future__ import annotations

import statistics
import time
import warnings
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

import numpy as np
import torch
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from rpt.backbones import T5Backbone
from rpt.backbones.device import DTYPES
from rpt.errors import describe_error

MATMULS = ("aten::mm", "aten::addmm", "aten::bmm", "aten::baddbmm", "aten::linear")
ATTENTION = ("aten::_scaled_dot_product", "aten::_softmax", "aten::_efficient_attention", "aten::_flash_attention")
GEMMS = ("gemm", "nvjet", "cutlass", "xmma", "splitk")  # parts of names of a GPU's kernels
FUSED = ("fmha", "flash", "softmax", "attention")  # likewise; they take precedence
LAUNCHES = ("cudaLaunchKernel", "cuLaunchKernel", "cudaGraphLaunch")
NO_KERNELS = ("memcpy", "memset", "optimizer.")  # other entries of a GPU's profile
WAIT = "synchronizing CUDA operation"  # in torch's warning
COUNTED = 4  # steps between which waits are counted


class Contestant(Protocol):
    """A trainer under measurement. together: how many batches a step takes."""

    together: int

    def train(self, batches: int) -> float | None: ...

    def evaluate(self, rows: int) -> None: ...


def measure_seconds(call: Callable[[], Any]) -> float:
    """Seconds of a call: its return value if that is a float, else its duration."""
    await_device()
    began = time.perf_counter()
    counted = call()
    await_device()
    return counted if isinstance(counted, float) else time.perf_counter() - began


def profile_step(contestant: Contestant, with_shares: bool) -> dict[str, Any]:
    """Profile a step on the longest batch: on a processor peak bytes and, if `with_shares` (it is slow), the share of
    time of each kind of operator; on a GPU these shares, kernels, launches and waits."""
    return _profile_on_gpu(contestant) if torch.cuda.is_available() else _profile_on_processor(contestant, with_shares)


def _profile_on_processor(contestant: Contestant, with_shares: bool) -> dict[str, Any]:
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        contestant.train(contestant.together)
    changes = [e.nbytes() for e in seen.profiler.kineto_results.events() if e.name() == "[memory]"]
    measured: dict[str, Any] = {"peak_bytes": int(np.cumsum(changes).max(initial=0))}
    if with_shares:
        times = {e.key: e.self_cpu_time_total for e in seen.key_averages()}
        measured["shares"] = _share_time(
            sum(times.values()),
            sum(t for key, t in times.items() if key in MATMULS),
            sum(t for key, t in times.items() if key.startswith(ATTENTION)),
        )
    return measured


def _profile_on_gpu(contestant: Contestant) -> dict[str, Any]:
    # Both include what surrounds the steps, such as reading losses, so it cancels.
    few, many = (count_waits(partial(contestant.train, n * contestant.together)) for n in (1, 1 + COUNTED))
    measured: dict[str, Any] = {"waits": (many - few) / COUNTED}
    try:
        return measured | _profile_kernels(contestant)
    except Exception as error:  # some machines do not allow profiling a GPU
        return measured | {"unprofiled": describe_error(error)}


def _profile_kernels(contestant: Contestant) -> dict[str, Any]:
    """Classify kernels by name, because kernels in a graph have no operator."""
    with profile(activities=[ProfilerActivity.CUDA]) as seen:
        contestant.train(contestant.together)
        torch.cuda.synchronize()
    events = [(e.name(), e.device_type(), e.duration_ns()) for e in seen.profiler.kineto_results.events()]
    on_gpu = [(name.lower(), time) for name, device, time in events if device == DeviceType.CUDA]
    fused = [time for name, time in on_gpu if any(part in name for part in FUSED)]
    products = [
        time for name, time in on_gpu if any(part in name for part in GEMMS) and not any(part in name for part in FUSED)
    ]
    return {
        "kernels": sum(not name.startswith(NO_KERNELS) for name, _ in on_gpu),
        "most_kernels": dict(Counter(name[:80] for name, _ in on_gpu).most_common(30)),
        "launches": sum(name.startswith(LAUNCHES) for name, device, _ in events if device == DeviceType.CPU),
        "shares": _share_time(sum(time for _, time in on_gpu), sum(products), sum(fused)),
    }


def hold_memory() -> int:
    """Bytes in use on the GPU; resets the peak."""
    if not torch.cuda.is_available():
        return 0
    torch.cuda.reset_peak_memory_stats()
    return torch.cuda.memory_allocated()


def read_allocator() -> dict[str, int]:
    """Memory that the GPU's allocator holds, and how often it freed memory to find more: if recorded graphs fill the
    GPU, evaluation is slower."""
    stats = torch.cuda.memory_stats()
    return {"reserved_bytes": torch.cuda.memory_reserved(), "retries": stats.get("num_alloc_retries", 0)}


def _share_time(total: float, products: float, attention: float) -> dict[str, float]:
    shares = {"matrix products": products / total, "attention and softmax": attention / total}
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
    """Floating-point operations per second of a large matrix product: on a processor the size of the widest layer, on a
    GPU a size that fills it."""
    config, dtype, gpu = backbone.model.config, DTYPES.get(precision, torch.float32), backbone.device.type == "cuda"
    rows, inner, columns = (8192, 8192, 8192) if gpu else (4096, config.d_model, config.d_ff)
    at_once = 10 if gpu else 1  # so that launches do not count
    left = torch.randn(rows, inner, device=backbone.device).to(dtype)
    right = torch.randn(columns, inner, device=backbone.device).to(dtype)

    def multiply() -> None:
        for _ in range(at_once):
            torch.nn.functional.linear(left, right)

    seconds = [measure_seconds(multiply) for _ in range(8 if gpu else 60)]
    return 2 * at_once * rows * inner * columns / statistics.median(seconds[len(seconds) // 6 :])


def await_device() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
