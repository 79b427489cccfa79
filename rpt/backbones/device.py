"""What this machine's device is, and what it can do."""

from __future__ import annotations

import resource
import sys

import torch

from rpt.config import Config


def precision_of(config: Config) -> str:
    """fp32, bf16 or fp16: what `auto` means on this machine, bf16 wherever it has units for it."""
    if config.trainer.precision != "auto":
        return config.trainer.precision
    if torch.cuda.is_available():
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    units = getattr(torch.cpu, "get_capabilities", dict)()  # an older torch cannot say
    return "bf16" if units.get("amx_bf16") or units.get("avx512_bf16") else "fp32"


def device_name() -> str:
    """As records name it."""
    return torch.cuda.get_device_name() if torch.cuda.is_available() else f"CPU, {torch.get_num_threads()} threads"


def forget_peak_memory() -> None:
    """Let `peak_memory` count from now on, where the device counts."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()


def peak_memory() -> int:
    """Bytes: of the device since `forget_peak_memory`, where there is one; else of this process since its start."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
