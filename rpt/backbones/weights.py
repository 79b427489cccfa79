"""The type of each weight: it follows from the file's, `backbone.weights` and the precision.

A model is loaded as its file stores it, so that the host never holds it twice; then each weight is rounded by itself.
"""

from __future__ import annotations

import logging
from typing import Any

import torch
from safetensors import safe_open
from torch import nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D
from transformers.utils import SAFE_WEIGHTS_INDEX_NAME, SAFE_WEIGHTS_NAME, cached_file
from transformers.utils.hub import get_checkpoint_shard_files

from rpt.errors import UsageError

HALF = {"BF16": torch.bfloat16, "F16": torch.float16}  # as safetensors calls them
LINEAR = (nn.Linear, Conv1D)  # the second is GPT-2's


def find_stored_type(place: str, revision: str | None) -> torch.dtype:
    """The type of the weights in the safetensors files of a folder or of a model of the hub: half precision if all have
    the same, else float32."""
    options = {"revision": revision, "_raise_exceptions_for_missing_entries": False}
    whole = cached_file(place, SAFE_WEIGHTS_NAME, **options)
    index = None if whole else cached_file(place, SAFE_WEIGHTS_INDEX_NAME, **options)
    shards = get_checkpoint_shard_files(place, index, revision=revision)[0] if index else filter(None, [whole])
    types: set[str] = set()
    for shard in shards:
        with safe_open(shard, framework="pt") as file:
            types |= {file.get_slice(name).get_dtype() for name in file.keys()}  # noqa: SIM118  # it is no mapping
    floats = [each for each in types if "F" in each]
    return HALF.get(floats[0], torch.float32) if len(floats) == 1 else torch.float32


def round_weights(model: PreTrainedModel, weights: str, dtype: torch.dtype | None) -> None:
    """Round frozen weights one by one, where they are. Vectors that no linear layer has, as norms', become float32.

    The embedding table, which prompts start from, and the output layer, which may be the same, keep the file's type.

    Args:
        weights: backbone.weights. dtype: half precision that the model computes in; None is float32.
    """
    linear: torch.dtype | None = torch.float32
    table: torch.dtype | None = torch.float32
    if weights == "bf16":
        linear = table = torch.bfloat16
    elif dtype and weights != "float32":
        linear, table = dtype, None
    output = model.get_output_embeddings()
    for module in model.modules():
        for parameter in module.parameters(recurse=False):
            if parameter.requires_grad or not parameter.is_floating_point():  # trained, or quantized
                continue
            if isinstance(module, LINEAR) and module is not output:
                wanted = linear
            else:
                wanted = table if parameter.dim() > 1 else torch.float32
            parameter.data = parameter.data.to(wanted or parameter.dtype)
        if isinstance(module, nn.Embedding) and module.weight.dtype != torch.float32:
            module.register_forward_hook(_widen)
        if hasattr(module, "compute_type_is_set"):  # bitsandbytes' of 4 bits
            layer: Any = module
            layer.compute_dtype, layer.compute_type_is_set = dtype or torch.float32, True


def _widen(module: nn.Module, inputs: tuple[torch.Tensor, ...], states: torch.Tensor) -> torch.Tensor:
    """What an embedding table in half precision gives: float32, in which the layers add up their states."""
    return states.float()


def find_quantizable(model: PreTrainedModel) -> dict[str, nn.Linear]:
    """The linear layers that may be quantized, by name: neither the output layer nor those that transformers leaves
    out, as T5's `wo`, whose states leave fp16's range."""
    left_out = {*(model._keep_in_fp32_modules or ()), *(model._keep_in_fp32_modules_strict or ())}
    return {
        name: layer
        for name, layer in model.named_modules()
        if type(layer) is nn.Linear
        and layer is not model.get_output_embeddings()
        and name.rpartition(".")[2] not in left_out
    }


def quantize(model: PreTrainedModel, weights: str, device: torch.device) -> None:
    """Put bitsandbytes' linear layers of 8 or 4 bits in the place of the model's, on the device.

    Raises:
        UsageError: bitsandbytes is not installed.
    """
    try:
        import bitsandbytes as bnb  # slow to import
    except ImportError:
        raise UsageError(f"backbone.weights={weights} needs bitsandbytes; pip install -e '.[quantized]'") from None

    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # at every pass it says that 8 bits round their inputs
    for name, layer in find_quantizable(model).items():
        shape = layer.in_features, layer.out_features
        with torch.device("meta"):  # no memory for first values
            if weights == "8bit":
                made = bnb.nn.Linear8bitLt(*shape, bias=False, has_fp16_weights=False, threshold=6.0)
                made.weight = bnb.nn.Int8Params(layer.weight.data, requires_grad=False, has_fp16_weights=False)
            else:
                made = bnb.nn.Linear4bit(*shape, bias=False, quant_type="nf4")
                made.weight = bnb.nn.Params4bit(layer.weight.data, quant_type="nf4", module=made)
                made.support_avx512bf16_for_cpu = False  # what it packs for inference, training could not read
        made.weight, made.bias = made.weight.to(device), layer.bias
        parent, _, last = name.rpartition(".")
        setattr(model.get_submodule(parent), last, made.eval())
    setattr(model, f"is_loaded_in_{weights}", True)  # peft asks which kind of layers to put beside them
