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
GEMMS = ("gemm", "nvjet", "cutlass", "xmma", "splitk")  # in the names of a GPU's kernels
FUSED = ("fmha", "flash", "softmax", "attention")  # too, and looked for first
LAUNCHES = ("cudaLaunchKernel", "cuLaunchKernel", "cudaGraphLaunch")
NO_KERNELS = ("memcpy", "memset", "optimizer.")  # what a profile lists of a GPU beside them
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
    """A step on the longest batch: on a processor peak bytes and, as it takes long, only where asked for each kind of
    operator's share of the time; on a GPU these shares, kernels, launches and waits."""
    return _profile_on_gpu(contestant) if torch.cuda.is_available() else _profile_on_processor(contestant, with_shares)


def _profile_on_processor(contestant: Contestant, with_shares: bool) -> dict[str, Any]:
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        contestant.train(contestant.together)
    changes = [e.nbytes() for e in seen.profiler.kineto_results.events() if e.name() == "[memory]"]
    found: dict[str, Any] = {"peak_bytes": int(np.cumsum(changes).max(initial=0))}
    if with_shares:
        times = {e.key: e.self_cpu_time_total for e in seen.key_averages()}
        found["shares"] = _share_time(
            sum(times.values()),
            sum(t for key, t in times.items() if key in MATMULS),
            sum(t for key, t in times.items() if key.startswith(ATTENTION)),
        )
    return found


def _profile_on_gpu(contestant: Contestant) -> dict[str, Any]:
    # What surrounds the steps, such as the reading of the losses, is in both and cancels out.
    few, many = (count_waits(lambda n=n: contestant.train(n * contestant.together)) for n in (1, 1 + COUNTED))
    found = {"waits": (many - few) / COUNTED}
    try:
        return found | _profile_kernels(contestant)
    except Exception as error:  # not every machine lets a GPU be profiled
        return found | {"unprofiled": f"{type(error).__name__}: {error}"}


def _profile_kernels(contestant: Contestant) -> dict[str, Any]:
    """By the kernels' names: those of a graph belong to no operator."""
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
    """Bytes of a GPU that are taken now; its peak is counted anew."""
    if not torch.cuda.is_available():
        return 0
    torch.cuda.reset_peak_memory_stats()
    return torch.cuda.memory_allocated()


def read_allocator() -> dict[str, int]:
    """What the GPU's allocator holds, and how often it had to give memory back before it found more: where recorded
    graphs fill the card, evaluation pays for it."""
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
