"""Cheaper layers of a frozen backbone. They compute what transformers' layers do; this is the one place that puts them
into a model."""

from __future__ import annotations

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers.activations import NewGELUActivation
from transformers.models.t5.modeling_t5 import T5LayerCrossAttention, T5LayerNorm

from rpt.backbones.fast import attention
from rpt.backbones.fast.cross_attention import AbsorbedAttention
from rpt.backbones.fast.norm import FrozenNorm
from rpt.backbones.fast.output import round_output


def install(model: PreTrainedModel, dtype: torch.dtype | None, frozen: bool, on_gpu: bool = False) -> None:
    """Swap in what is faster for this model. Its weights stay where they are, under their names.

    Args:
        dtype: half precision that the model computes in; None is float32.
        frozen: whether nothing in the model is trained, nor drops out.
        on_gpu: whether it computes on a GPU.
    """
    _install_attention(model, on_gpu, dtype, frozen)
    output = model.get_output_embeddings()
    if dtype and isinstance(output, nn.Linear) and not output.weight.requires_grad:
        round_output(output, dtype)
    for module in model.modules():
        if type(module) is NewGELUActivation:  # transformers computes it step by step, torch in one pass over memory
            module.__class__, module.approximate = nn.GELU, "tanh"  # type: ignore[assignment]
        if frozen and not on_gpu and isinstance(module, T5LayerCrossAttention) and _has_plain(module.EncDecAttention):
            # A decoder's few queries are cheaper to project than the encoder's many states; a GPU has operations to
            # spare, and these are more kernels. The layers' weights are used directly, so nothing may be trained in
            # them or put into them, nor may they be quantized.
            module.EncDecAttention.__class__ = AbsorbedAttention
        if isinstance(module, T5LayerNorm) and not module.weight.requires_grad:
            # Autograd passes over memory three times as often where the weight needs no gradient.
            module.__class__ = FrozenNorm
            precision = dtype or module.weight.data.dtype
            module.precision = precision  # type: ignore[assignment]  # of FrozenNorm, which it is now
            if not on_gpu:  # where a norm gives its weight's precision
                module.weight.data = module.weight.data.to(precision)


def _install_attention(model: PreTrainedModel, on_gpu: bool, dtype: torch.dtype | None, frozen: bool) -> None:
    if on_gpu:
        # cuDNN's attention makes a plan for every new shape, and under a mask its gradients may be NaN on Hopper
        # (pytorch 196678).
        torch.backends.cuda.enable_cudnn_sdp(False)
    if model.can_generate() and not model.config.is_encoder_decoder:
        return  # a decoder's heads share keys in groups, and some cap their scores: transformers' own know all that
    if on_gpu:
        model.set_attn_implementation(attention.FUSED)
    elif dtype:
        # torch's fused attention is slower than the plain one on a processor in half precision, backward fourfold.
        # Ours, which keeps the scores in the caches, has no gradient for what may be trained in it.
        model.set_attn_implementation(attention.BLOCKS if frozen else "eager")


def _has_plain(attention: nn.Module) -> bool:
    """Whether its keys and values are torch's own linear layers."""
    return type(attention.k) is nn.Linear and type(attention.v) is nn.Linear
