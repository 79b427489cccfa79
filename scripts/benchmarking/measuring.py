"""Seconds, memory and operations of a contestant."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from benchmarking.contestants import Ours, Peft
from rpt.backbones import T5Backbone

MATMULS = ("aten::mm", "aten::addmm", "aten::bmm", "aten::baddbmm", "aten::linear")
ATTENTION = ("aten::_scaled_dot_product", "aten::_softmax")


def measure_seconds(call: Callable[[], Any]) -> float:
    """Seconds, by the call's own count if it returns one."""
    began = time.perf_counter()
    own = call()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return own if isinstance(own, float) else time.perf_counter() - began


def profile_step(contestant: Ours | Peft, with_shares: bool) -> dict[str, Any]:
    """A step on the longest batch under the profiler: peak bytes and, as it takes long, only where asked for each kind
    of operator's share of the time."""
    held = 0
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
        held = torch.cuda.memory_allocated()  # by the weights of all contestants
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if torch.cuda.is_available() else [])]
    with profile(activities=activities, profile_memory=True) as seen:
        contestant.train(1)
    if torch.cuda.is_available():
        peak = torch.cuda.max_memory_allocated() - held
    else:
        changes = [e.nbytes() for e in seen.profiler.kineto_results.events() if e.name() == "[memory]"]
        peak = int(np.cumsum(changes).max(initial=0))
    if not with_shares:
        return {"peak_bytes": peak}
    # Kernels stand under the operators that started them, and once more by themselves, which are no CPU events.
    operators = [e for e in seen.key_averages() if e.device_type == DeviceType.CPU]
    spent = "self_device_time_total" if torch.cuda.is_available() else "self_cpu_time_total"
    times = {e.key: getattr(e, spent) for e in operators}
    total = sum(times.values())
    shares = {
        "matrix products": sum(t for key, t in times.items() if key in MATMULS) / total,
        "attention and softmax": sum(t for key, t in times.items() if key.startswith(ATTENTION)) / total,
    }
    return {"peak_bytes": peak, "shares": shares | {"everything else": 1 - sum(shares.values())}}


def count_flops(contestant: Ours, batches: int) -> int:
    """Floating-point operations of training on so many batches: forward, and backward through the activations."""
    with FlopCounterMode(display=False) as counted:
        contestant.train(batches)
    return counted.get_total_flops()


def measure_matmul_rate(backbone: T5Backbone, precision: str, rows: int = 4096) -> float:
    """Floating-point operations per second of the widest layer's product, in that precision."""
    config, dtype = backbone.model.config, {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
    left = torch.randn(rows, config.d_model, device=backbone.device).to(dtype[precision])
    right = torch.randn(config.d_ff, config.d_model, device=backbone.device).to(dtype[precision])
    seconds = [measure_seconds(lambda: torch.nn.functional.linear(left, right)) for _ in range(60)]
    return 2 * rows * config.d_model * config.d_ff / statistics.median(seconds[10:])
