"""Flan-T5-Small from a Python package. The package is `traceforge-title-model`; transformers reads the folder that is
made of it.

The package stores a Flan-T5-Small, trained further by its maker to write short titles, as two ONNX graphs with int8
weights, one scale and one zero point per tensor. Here each weight becomes (q - zero point) * scale in float32, under
transformers' own name. The package's graphs round activations too, which costs more than rounded weights do; so only
the weights are taken, and transformers computes with them.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save
from transformers import T5Config

from rpt.errors import UsageError
from rpt.files import reason_of, write_atomically

PACKAGE = "traceforge-title-model"
CONFIG: dict[str, Any] = {  # Flan-T5-Small's
    "vocab_size": 32128, "d_model": 512, "d_kv": 64, "d_ff": 1024, "num_layers": 8, "num_decoder_layers": 8,
    "num_heads": 6, "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False, "decoder_start_token_id": 0,
    "pad_token_id": 0, "eos_token_id": 1, "architectures": ["T5ForConditionalGeneration"],
}  # fmt: skip
TENSORS = 190
TOKENIZER_CONFIG = {
    "tokenizer_class": "T5Tokenizer", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>",
    "extra_ids": 100, "model_max_length": 512,
}  # fmt: skip


def convert_package(folder: Path) -> Path:
    """The folder with the converted model, made on first use: `<cache>/rpt/backbones/<package and version>`.

    Args:
        folder: the installed package's, with encoder.onnx, decoder.onnx and tokenizer.json.

    Raises:
        UsageError: the package `onnx` is missing, the files are not what they should be, or nothing can be written.
    """
    target = _cache_folder() / f"{PACKAGE}-{_version()}"
    if target.is_dir():
        return target
    weights = read_weights(folder)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent))
    except OSError as error:
        raise UsageError(
            f"{target.parent} cannot be written ({reason_of(error)}); point XDG_CACHE_HOME to a folder that can."
        ) from error
    try:
        write_atomically(unfinished / "model.safetensors", save(weights, {"format": "pt"}))
        for name, content in _describe_model(folder).items():
            write_atomically(unfinished / name, (json.dumps(content, ensure_ascii=False, indent=2) + "\n").encode())
        try:
            os.rename(unfinished, target)
        except OSError:  # another process was faster
            if not target.is_dir():
                raise
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return target


def read_weights(folder: Path) -> dict[str, np.ndarray]:
    """The model's 190 tensors in float32, by transformers' names.

    Raises:
        UsageError: the package `onnx` is missing, or the files hold other tensors.
    """
    try:
        import onnx
    except ImportError:
        raise UsageError(f"Reading {PACKAGE} needs the Python package onnx; pip install onnx") from None
    weights: dict[str, np.ndarray] = {}
    for file, prefix in (("encoder.onnx", {"enc": "encoder"}), ("decoder.onnx", {"m": ""})):
        weights |= _read_graph(onnx.load(folder / file).graph, prefix)
    if len(weights) != TENSORS or not all(np.isfinite(weight).all() for weight in weights.values()):
        raise UsageError(
            f"{folder} holds {len(weights)} tensors where Flan-T5-Small has {TENSORS}; install the version that was "
            "tested: pip install 'traceforge-title-model==0.2.0'"
        )
    return weights


def _read_graph(graph: Any, prefix: dict[str, str]) -> dict[str, np.ndarray]:
    from onnx.numpy_helper import to_array

    stored = {tensor.name: to_array(tensor) for tensor in graph.initializer}

    def dequantize(name: str) -> np.ndarray:
        steps = stored[f"{name}_quantized"].astype(np.int32) - stored[f"{name}_zero_point"].astype(np.int32)
        return steps.astype(np.float32) * stored[f"{name}_scale"].astype(np.float32)

    def rename(parts: list[str]) -> str:
        return ".".join(part for part in (prefix[parts[0]], *parts[1:], "weight") if part)

    weights = {}
    for node in graph.node:  # linear layers: the graph multiplies from the right, so theirs are transposed
        if node.op_type == "MatMulInteger":
            layer = node.name.removeprefix("/").removesuffix("/MatMul_quant")
            name = node.input[1].removesuffix("_quantized")
            weights[rename(layer.split("/"))] = np.ascontiguousarray(dequantize(name).T)
    for name in stored:  # embeddings and biases of positions, then norms, which are float32
        if name.startswith(tuple(f"{first}." for first in prefix)):
            if name.endswith(".weight_quantized"):
                layer = name.removesuffix(".weight_quantized")
                weights[rename(layer.split("."))] = dequantize(f"{layer}.weight")
            elif name.endswith(".weight"):
                weights[rename(name.removesuffix(".weight").split("."))] = stored[name].astype(np.float32)
    # The decoder's graph has the embeddings too, as `shared`; both are one table.
    embeddings = weights.pop("encoder.embed_tokens.weight", None)
    if embeddings is not None:
        weights["shared.weight"] = embeddings
    return weights


def _describe_model(folder: Path) -> dict[str, dict[str, object]]:
    tokenizer = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    # The package cuts its texts to 48 tokens and pads them; whoever reads this folder decides that.
    tokenizer |= {"truncation": None, "padding": None}
    config = T5Config(**CONFIG).to_dict()
    return {"config.json": config, "tokenizer.json": tokenizer, "tokenizer_config.json": TOKENIZER_CONFIG}


def _cache_folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rpt" / "backbones"


def _version() -> str:
    from importlib import metadata

    return metadata.version(PACKAGE)
