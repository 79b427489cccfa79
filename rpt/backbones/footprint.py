"""Memory and operations of a backbone: computed from its config.json alone.

One pass forward and backward runs through the family's own code on tensors without data (torch's fake tensors), and
what is allocated is counted. So attention, norms and recomputed layers count as they will on the device.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry
from transformers import AutoConfig, PretrainedConfig

from rpt.backbones import fast
from rpt.backbones.base import Backbone, recompute_layers
from rpt.backbones.device import DTYPES
from rpt.backbones.loading import check_family, find_family, find_place, readable, split_gguf
from rpt.backbones.weights import find_quantizable, round_weights
from rpt.config import BackboneConfig

ALLOCATOR = 1.15  # what an allocator holds beyond what is alive: glibc's, measured with T5-Small and T5-Base
BYTES = {"8bit": (1.0, 0.002), "4bit": (0.5, 0.016)}  # of a quantized weight, and of what scales it


@dataclass(frozen=True)
class Footprint:
    """parameters: the model's. stored: bytes of its file, if that has the type that config.json says.
    weights: bytes, by the values of backbone.weights. row: bytes that each row of a pass needs beside them at its peak.
    operations: of a row, forward and backward.
    """

    parameters: int
    stored: int
    weights: dict[str, int]
    row: int
    operations: float

    def peak(self, weights: str, rows: int) -> int:
        """Bytes of training with passes of so many rows."""
        return self.weights[weights] + rows * self.row

    def fit_rows(self, weights: str, memory: int, most: int) -> int:
        """How many rows a pass may have in so much memory; 0 if not one."""
        return max(0, min(most, (memory - self.weights[weights]) // self.row))


def read_model_config(config: BackboneConfig) -> PretrainedConfig:
    """config.json of a backbone, whose weights need not be there.

    Raises:
        UsageError: it cannot be had, or is not of the family.
    """
    place, file = split_gguf(find_place(config))
    with readable(config, place, "planned"):
        model_config = AutoConfig.from_pretrained(place, revision=config.revision, trust_remote_code=False, **file)
    check_family(config, place, model_config.model_type)
    return model_config


def measure_footprint(
    model_config: PretrainedConfig,
    config: BackboneConfig,
    prompt_length: int,
    precision: str,
    recomputes: bool,
    on_gpu: bool,
) -> Footprint:
    """Of rows of backbone.max_tokens; nothing is loaded or computed.

    Args:
        precision: that the backbone computes in.
        recomputes: trainer.gradient_checkpointing.
    """
    dtype = DTYPES.get(precision)
    with FakeTensorMode():
        backbone = _build(model_config, config)
        parameters = list(backbone.model.parameters())
        stored = sum(each.nbytes for each in parameters)
        plain = "auto" if config.weights in BYTES else config.weights
        round_weights(backbone.model, plain, dtype)
        fast.install(backbone.model, dtype, frozen=True, on_gpu=on_gpu)
        backbone.precision = precision
        if recomputes:
            recompute_layers(backbone.model, dropout=False)
        watch = _run_pass(backbone, prompt_length, config.max_tokens)
        weights = {plain: _count_bytes(backbone.model)}
        quantized = find_quantizable(backbone.model)
        widest = max((layer.weight.nbytes for layer in quantized.values()), default=0)
        for name, (of_weight, of_scales) in BYTES.items():
            saved = sum(
                layer.weight.nbytes - layer.weight.numel() * (of_weight + of_scales) for layer in quantized.values()
            )
            weights[name] = int(weights[plain] - saved) + widest  # a layer is widened again where it multiplies
    row = int(ALLOCATOR * (watch.peak - weights[plain]))
    return Footprint(sum(each.numel() for each in parameters), stored, weights, row, watch.operations)


def _build(model_config: PretrainedConfig, config: BackboneConfig) -> Backbone:
    """The backbone without data, and with a tokenizer that knows its special tokens alone."""
    family = find_family(config)
    model = family.auto_class.from_config(model_config, dtype=model_config.dtype or torch.float32)
    tokens = {name: getattr(model_config, name, None) or 0 for name in ("pad_token_id", "eos_token_id")}
    tokenizer: Any = SimpleNamespace(**tokens)
    return family(model, tokenizer, fingerprint="")


def _run_pass(backbone: Backbone, prompt_length: int, width: int) -> _Watch:
    """A row of so many tokens, its prompt's included, forward and backward."""
    with _Watch(backbone.model) as watch:
        row, head = backbone.make_trial(width - prompt_length)
        prompt = torch.zeros(1, prompt_length, backbone.d_model, requires_grad=True)
        mask = torch.ones(1, prompt_length, dtype=torch.long)
        with backbone.autocast():
            loss = backbone.losses(prompt, mask, backbone.collate([row], prompt_length), head)
        loss.sum().backward()
    return watch


def _count_bytes(model: nn.Module) -> int:
    storages = {
        each.untyped_storage()._cdata: each.untyped_storage() for each in (*model.parameters(), *model.buffers())
    }
    return sum(storage.nbytes() for storage in storages.values())


class _Watch(TorchDispatchMode):
    """Counts the bytes of all storages that are alive, and operations as torch does."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.alive, self.peak, self.operations = 0, 0, 0.0
        self.known: set[int] = set()
        for weight in (*model.parameters(), *model.buffers()):
            self.note(weight)

    def note(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        if storage._cdata not in self.known:
            self.known.add(storage._cdata)
            self.alive += storage.nbytes()
            self.peak = max(self.peak, self.alive)
            weakref.finalize(storage, self.forget, storage._cdata, storage.nbytes())

    def forget(self, key: int, size: int) -> None:
        self.known.discard(key)
        self.alive -= size

    def __torch_dispatch__(self, function: Any, types: Any, arguments: Any = (), options: Any = None) -> Any:
        result = function(*arguments, **(options or {}))
        for each in tree_leaves(result):
            if isinstance(each, Tensor):
                self.note(each)
        if function.overloadpacket in flop_registry:
            self.operations += flop_registry[function.overloadpacket](*arguments, **(options or {}), out_val=result)
        return result
