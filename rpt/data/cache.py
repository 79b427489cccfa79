"""Tokenised rows kept on disk, each entry under a name that follows from all that it was made of."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load, save

from rpt.files import write_atomically

Arrays = dict[str, np.ndarray]


def cached(folder: Path, made_of: list[Any], make: Callable[[], Arrays]) -> Arrays:
    """The arrays that `make` gives, from the folder if they are there.

    Args:
        made_of: all that the arrays depend on; what differs in any part has another entry.
    """
    path = folder / f"{hashlib.sha256(repr(made_of).encode()).hexdigest()[:32]}.safetensors"
    try:
        return load(path.read_bytes())
    except Exception:  # no file, or one that a full disk cut short: the rows are tokenised again
        arrays = make()
        write_atomically(path, save(arrays))
        return arrays
