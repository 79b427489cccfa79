"""What this machine's device can do."""

from __future__ import annotations

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
