"""What a backbone asks of the device that it is placed on."""

import os

import torch

from tests.conftest import tiny_t5


def test_float32_is_float32_wherever_a_backbone_is_placed(monkeypatch):
    """Also where somebody has chosen TF32 before, and for the LSTM, which is cuDNN's."""
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "1")  # cuBLAS and cuDNN would heed it before torch
    try:
        torch.set_float32_matmul_precision("high")
        torch.backends.cudnn.allow_tf32 = True
        tiny_t5(1.0).place(torch.device("cpu"), "fp32")
        assert torch.get_float32_matmul_precision() == "highest"
        assert "NVIDIA_TF32_OVERRIDE" not in os.environ
        assert not torch.backends.cuda.matmul.allow_tf32 and not torch.backends.cudnn.allow_tf32
    finally:
        torch.set_float32_matmul_precision("highest")
