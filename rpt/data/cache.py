"""Tokenised rows on disk. The name of each entry follows from all that it was made of.

An entry begins with a digest of its name and content. If the digest differs, the entry is made again; if the folder
cannot be written, rows are not cached. Either case is logged once, in one line.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from safetensors.numpy import load, save

from rpt.data.rows import warn_once
from rpt.errors import UsageError
from rpt.files import reason_of, write_atomically

Arrays = dict[str, np.ndarray]
DIGEST = hashlib.sha256().digest_size  # bytes


def cached(folder: Path, key: Iterable[object], make: Callable[[], Arrays]) -> Arrays:
    """The arrays that `make` returns, read from the folder if it has them.

    Args:
        key: everything that the arrays depend on, the texts too; an entry is used only for an equal key.
    """
    digest = hashlib.sha256()
    for part in key:
        digest.update(repr(part).encode())
    name = digest.hexdigest()[:32]
    path = folder / f"{name}.tokens"
    try:
        entry: bytes | None = path.read_bytes()
    except FileNotFoundError:
        entry = None
    except (OSError, ValueError) as error:  # ValueError: the path has a null character
        _warn_of_folder(folder, error)
        return make()
    if entry is not None:
        if entry[:DIGEST] == _digest(name, entry[DIGEST:]):
            return load(entry[DIGEST:])
        warn_once(f"{path} is damaged; its rows are tokenised again.")
    arrays = make()
    content = save(arrays)
    try:
        write_atomically(path, _digest(name, content) + content)
    except UsageError as error:
        _warn_of_folder(folder, error.__cause__)
    return arrays


def _digest(name: str, content: bytes) -> bytes:
    return hashlib.sha256(name.encode() + content).digest()


def _warn_of_folder(folder: Path, error: BaseException | None) -> None:
    reason = reason_of(error)
    warn_once(f"data.cache={folder} cannot be used ({reason}); rows are tokenised in every run. Give another folder.")
