"""A Python package's backbone, converted once to a folder as transformers has them."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer

from rpt.errors import UsageError
from rpt.files import reason_of


def convert_once(package: str, write: Callable[[Path], None]) -> Path:
    """The folder `<cache>/rpt/backbones/<package and version>`; `write` fills it on first use.

    Raises:
        UsageError: nothing can be written there.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    target = cache / "rpt" / "backbones" / f"{package}-{metadata.version(package)}"
    if target.is_dir():
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent))
    except OSError as error:
        raise UsageError(
            f"{target.parent} cannot be written ({reason_of(error)}); point XDG_CACHE_HOME to a folder that can."
        ) from error
    try:
        write(unfinished)
        try:
            os.rename(unfinished, target)
        except OSError:  # another process was faster
            if not target.is_dir():
                raise
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return target


def convert_gguf(package: str, folder: str, file: dict[str, str], auto_class: Any) -> Path:
    """The folder with a package's .gguf file in float32: to read the file itself takes half a minute each time.

    Args:
        folder, file: of the package, from `split_gguf`.
        auto_class: of the backbone's family.
    """

    def write(target: Path) -> None:
        source: Any = {"trust_remote_code": False, **file}
        AutoTokenizer.from_pretrained(folder, **source).save_pretrained(target)
        model = auto_class.from_pretrained(folder, **source, use_safetensors=False, dtype=torch.float32)
        model.hf_quantizer.remove_quantization_config(model)  # its weights are no longer quantized
        model.save_pretrained(target)

    return convert_once(package, write)
