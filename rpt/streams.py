"""Standard streams as shells leave them. They may be closed, or of an encoding without all letters."""

from __future__ import annotations

import io
import os
import sys


def mend_streams() -> None:
    """Let what is printed end no command: a closed stream becomes the null device, and a letter that an encoding does
    not have is written as an escape."""
    if None in (sys.stdin, sys.stdout, sys.stderr):
        while (number := os.open(os.devnull, os.O_RDWR)) <= 2:  # else the next file that is opened would be the stream
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
    """Whether standard output writes every letter as it is."""
    return (sys.stdout.encoding or "utf-8").lower().replace("-", "") == "utf8"
