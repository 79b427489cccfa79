"""What the commands have in common: a user's mistake ends in one line, and how `key=value` words are read."""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rpt.errors import ONE_LINE, UsageError


@contextmanager
def one_line_errors() -> Iterator[None]:
    """An error of rpt.errors inside ends the process: its message on stderr, exit code 2, no traceback. So does,
    without a word and with code 1, a reader that has seen enough, as in `python -m rpt.results FOLDER | head`."""
    try:
        yield
        sys.stdout.flush()
    except ONE_LINE as error:
        print(f"rpt: {error}", file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes it once more at its end
        sys.exit(1)


def asked_for_help(help_text: str) -> bool:
    """Whether --help is among the words of the command; if so, it is printed."""
    asked = bool({"-h", "--help"} & set(sys.argv[1:]))
    if asked:
        print(help_text.strip())
    return asked


def command_line(help_text: str, defaults: dict[str, str | None], do: Callable[[dict[str, str | None]], None]) -> None:
    """Do what the words ask for.

    Args:
        help_text: what --help prints.
        defaults: every key there is, with the value it has unless it is given.
    """
    if not asked_for_help(help_text):
        with one_line_errors():
            do({**defaults, **given(sys.argv[1:], list(defaults))})


def given(words: list[str], keys: list[str]) -> dict[str, str]:
    """The words as {key: value}.

    Raises:
        UsageError: a word is no `key=value`, or there is no such key.
    """
    values = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals:
            raise UsageError(f"{word} is not of the form key=value; --help shows the keys.")
        if key not in keys:
            near = difflib.get_close_matches(key, keys, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(keys)}."
            raise UsageError(f"There is no key {key}; {hint}")
        values[key] = value
    return values


def split_config_dir(words: list[str]) -> tuple[list[str], str | None]:
    """The words without the flag for a folder of one's own (`--config-dir mine`, which is Hydra's), and that folder.

    Raises:
        UsageError: the flag has no folder behind it.
    """
    rest, folder = list(words), None
    for i, word in enumerate(words):
        flag, equals, value = word.partition("=")
        if flag in ("--config-dir", "-cd"):
            if not equals and i + 1 == len(words):
                raise UsageError(f"{flag} needs a folder: --config-dir mine")
            folder = value if equals else words[i + 1]
            rest = words[:i] + words[i + (1 if equals else 2) :]
    return rest, folder


def truth(key: str, value: str) -> bool:
    """`true` or `false`.

    Raises:
        UsageError: it is neither.
    """
    if value.lower() not in ("true", "false"):
        raise UsageError(f"{key}={value} should be true or false.")
    return value.lower() == "true"
