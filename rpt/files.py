"""Writing a file whole or not at all."""

from __future__ import annotations

import os
import stat
import tempfile
import uuid
from contextlib import suppress
from pathlib import Path

from rpt.errors import UsageError

TEMPORARY = ".*.tmp"  # files that a kill may leave behind


def write_atomically(path: Path, content: bytes) -> None:
    """Write to a temporary file in the same folder, then rename it over `path`.

    Raises:
        UsageError: the disk is full, permission is missing, or `path` is a folder or a device.
    """
    temporary = path.parent / f".{uuid.uuid4().hex}.tmp"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _check_place_of_file(path)
        try:
            with temporary.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise
    except (OSError, ValueError) as error:
        raise _failure(path, error) from error


def add_lines(path: Path, text: str) -> None:
    """Add lines to the end of a file that people watch.

    Raises:
        UsageError: the disk is full, or permission is missing.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(f"{text}\n")
    except OSError as error:
        raise _failure(path, error) from error


def check_writable(path: Path, key: str) -> None:
    """Refuse a file that cannot be written, before any work is done for it. Leaves no file behind.

    Raises:
        UsageError: naming the key.
    """
    try:
        _check_place_of_file(path)
    except (OSError, ValueError) as error:
        raise _refusal(path, key, error) from error
    check_folder(path.parent, key)


def check_folder(path: Path, key: str) -> None:
    """Refuse a path that neither is nor can become a folder in which files can be written. Leaves no file behind.

    Raises:
        UsageError: naming the key.
    """
    try:
        for place in (path, *path.absolute().parents):
            with suppress(FileNotFoundError):
                if not stat.S_ISDIR(place.stat().st_mode):
                    raise NotADirectoryError(0, f"{place} is no folder")
                break
        with tempfile.TemporaryFile(dir=place):
            pass
    except (OSError, ValueError) as error:
        raise _refusal(path, key, error) from error


def reason_of(error: BaseException | None) -> str:
    """The reason of an error, without its path, which may be that of a temporary file."""
    return getattr(error, "strerror", None) or str(error)


def _check_place_of_file(path: Path) -> None:
    """Refuse a folder or a device: renaming a file over a device would delete it."""
    with suppress(FileNotFoundError):
        if not stat.S_ISREG(path.stat().st_mode):
            raise OSError(0, "it is a folder or a device")


def _failure(path: Path, error: Exception) -> UsageError:
    return UsageError(f"{path} cannot be written ({reason_of(error)}); make room there or name another.")


def _refusal(path: Path, key: str, error: Exception) -> UsageError:
    return UsageError(f"{key}={path} cannot be used ({reason_of(error)}); give another.")
