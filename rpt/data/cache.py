"""Tokenised rows on disk. The name of each entry follows from all that it was made of.

An entry begins with a digest of its name and content. One that does not fit is made anew; a folder that cannot be
written is done without. Either is said once, in one line.
"""

from __future__ import annotations

import functools
import hashlib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load, save

from rpt.errors import UsageError
from rpt.files import reason_of, write_atomically

Arrays = dict[str, np.ndarray]
DIGEST = hashlib.sha256().digest_size  # bytes

log = logging.getLogger("rpt")


def cached(folder: Path, made_of: list[Any], make: Callable[[], Arrays]) -> Arrays:
    """The arrays that `make` gives, from the folder if they are there.

    Args:
        made_of: all that the arrays depend on; what differs in any part has another entry.
    """
    name = hashlib.sha256(repr(made_of).encode()).hexdigest()[:32]
    path = folder / f"{name}.tokens"
    try:
        entry = path.read_bytes()
    except FileNotFoundError:
        entry = None
    except (OSError, ValueError) as error:  # ValueError: the path has a null character
        _do_without(folder, error)
        return make()
    if entry is not None:
        if entry[:DIGEST] == _digest(name, entry[DIGEST:]):
            return load(entry[DIGEST:])
        _warn_once(f"{path} is damaged; its rows are tokenised again.")
    arrays = make()
    content = save(arrays)
    try:
        write_atomically(path, _digest(name, content) + content)
    except UsageError as error:
        _do_without(folder, error.__cause__)
    return arrays


def _digest(name: str, content: bytes) -> bytes:
    return hashlib.sha256(name.encode() + content).digest()


def _do_without(folder: Path, error: BaseException) -> None:
    reason = reason_of(error)
    _warn_once(f"data.cache={folder} cannot be used ({reason}); rows are tokenised in every run. Give another folder.")


@functools.cache
def _warn_once(message: str) -> None:
    log.warning("%s", message)
