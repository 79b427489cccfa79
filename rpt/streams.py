"""Standard streams as a shell may leave them. They may be closed, or of an encoding without all letters."""

from __future__ import annotations

import io
import os
import sys


def mend_streams() -> None:
    """Make sure that printing never fails: replace closed streams by the null device, and escape letters that the
    encoding lacks."""
    if None in (sys.stdin, sys.stdout, sys.stderr):
        while (number := os.open(os.devnull, os.O_RDWR)) <= 2:  # else the next opened file would become the stream
            pass
        os.close(number)
        sys.stdin = sys.stdin or os.fdopen(os.open(os.devnull, os.O_RDONLY))
        sys.stdout, sys.stderr = (
            stream or os.fdopen(os.open(os.devnull, os.O_WRONLY), "w") for stream in (sys.stdout, sys.stderr)
        )
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def takes_any_letter() -> bool:
    """Whether standard output can write every letter unescaped."""
    return (sys.stdout.encoding or "utf-8").lower().replace("-", "") == "utf8"
