"""Precision, memory, sizes of passes."""

from __future__ import annotations

import math
import os
import resource
import sys
from contextlib import AbstractContextManager

import torch
from torch import Tensor

from rpt.config import Config

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}  # of a backbone in half precision
CACHE_TOKENS = 4096  # a processor's caches hold about so many; larger passes were slower (results/benchmark)
EVALUATION_TOKENS = 1024  # without a backward half nothing is won by passes that leave the second-level cache
PASS_TOKENS = 256  # a pass on a processor costs so many tokens' time beyond its own


def find_device() -> torch.device:
    """CUDA where there is one. Otherwise the processor, also beside an Apple GPU: nothing has been measured on one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def name_device() -> str:
    """As records say it."""
    return torch.cuda.get_device_name() if torch.cuda.is_available() else f"CPU, {torch.get_num_threads()} threads"


def precision_of(config: Config) -> str:
    """fp32, bf16 or fp16: what `auto` means on this machine, bf16 where it has units for it, or weights are kept so."""
    if config.trainer.precision != "auto":
        return config.trainer.precision
    if config.backbone.weights == "bf16":
        return "bf16"
    if torch.cuda.is_available():
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    units: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()  # an older torch cannot say
    return "bf16" if units.get("amx_bf16") or units.get("avx512_bf16") else "fp32"


def send(tensor: Tensor, device: torch.device) -> Tensor:
    """Move to the device without waiting. A GPU fetches from pinned memory by itself; from other memory the processor
    would wait for everything that the GPU still has to do."""
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


def keep_generators() -> AbstractContextManager[None]:
    """Restore torch's random generators at the end: what is seeded inside must not repeat the caller's own numbers."""
    device = find_device()
    return torch.random.fork_rng(devices=[device] if device.type == "cuda" else [])


def keep_float32() -> None:
    """Compute products of float32 in float32, also on GPUs that could round their factors to TF32's ten bits.

    What is float32 here is so by choice: prompts, networks and heads, whose products are few, and a whole backbone with
    trainer.precision=fp32, which is there to be compared with. Speed is bf16's part. Of the two switches, torch's
    default for cuDNN, which computes the LSTM, is TF32. A variable of the environment stands above both.
    """
    os.environ.pop("NVIDIA_TF32_OVERRIDE", None)
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False


def forget_peak_memory() -> None:
    """Let `read_peak_memory` start anew, where the device can."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()


def read_peak_memory() -> int:
    """Bytes: of the device since `forget_peak_memory`, where there is one; else of this process since its start."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def measure_free_memory(n_processes: int) -> int:
    """Bytes that this process may still allocate on a GPU that so many processes share. Each has an equal part of the
    whole: what is free now does not show what the others will need, which may have just started."""
    torch.cuda.empty_cache()  # what an earlier pack has left behind is free as well
    free, total = torch.cuda.mem_get_info()
    return min(free, total // n_processes - torch.cuda.memory_reserved())


def cap_pass(device: torch.device) -> float:
    """Tokens, padding included, beyond which a pass is slower on the device, even if memory holds it."""
    return math.inf if device.type == "cuda" else CACHE_TOKENS


def cap_evaluation_pass(device: torch.device) -> float:
    """As `cap_pass`, of a pass without a backward half."""
    return math.inf if device.type == "cuda" else EVALUATION_TOKENS


def width_multiple(device: torch.device) -> int:
    """The multiple to which widths of passes are padded: a GPU's fused attention would copy any other mask."""
    return 8 if device.type == "cuda" else 1


def pass_overhead(device: torch.device) -> float:
    """The cost of a pass beyond its tokens, in tokens. Not measured on GPUs: there as few passes as memory allows."""
    return 10**6 if device.type == "cuda" else PASS_TOKENS
