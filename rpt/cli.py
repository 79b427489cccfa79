"""What all commands share. A user's mistake ends in one line, and `key=value` arguments become dataclasses."""

from __future__ import annotations

import dataclasses
import difflib
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ValidationError

from rpt.errors import ONE_LINE, UsageError
from rpt.streams import mend_streams

Arguments = TypeVar("Arguments")
Default = TypeVar("Default")


@contextmanager
def one_line_errors() -> Iterator[None]:
    """An error of rpt.errors inside ends the process: its message on stderr, exit code 2, no traceback. So does a
    closed pipe, as in `python -m rpt.results FOLDER | head`, without a message and with code 1, and Ctrl-C with 130."""
    mend_streams()
    try:
        yield
        sys.stdout.flush()
    except ONE_LINE as error:
        print(f"rpt: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes it once more at its end
        sys.exit(1)


def asked_for_help(help_text: str) -> bool:
    """Whether --help is among the arguments; if so, it is printed."""
    asked = bool({"-h", "--help"} & set(sys.argv[1:]))
    if asked:
        with one_line_errors():
            print(help_text.strip())
    return asked


def run_command(help_text: str, cls: type[Arguments], do: Callable[[Arguments], None], first: str = "") -> None:
    """Print the help, or do what the arguments ask for.

    Args:
        cls: a dataclass of the command's arguments.
        first: the key of an argument that may stand without one: `FOLDER` is results=FOLDER.
    """
    if not asked_for_help(help_text):
        with one_line_errors():
            refuse_flags(sys.argv[1:])
            do(read_arguments(cls, [each if "=" in each or not first else f"{first}={each}" for each in sys.argv[1:]]))


def refuse_flags(arguments: Sequence[str]) -> None:
    """Refuse flags, which only rpt.train has, and empty values, which would stand for the current folder.

    Raises:
        UsageError: naming the argument.
    """
    for each in arguments:
        if each.startswith("-"):
            raise UsageError(f"There is no flag {each}; keys have no dashes, as in key=value, and --help shows them.")
        if each.endswith("="):
            raise UsageError(f"{each} is empty; give a value, or leave it out.")


def argument(key: str, default: Default) -> Default:
    """A field of such a dataclass whose key is no name of Python: backbone.path."""
    return dataclasses.field(default=default, metadata={"key": key})


def required(example: str) -> str:
    """A text field that has to be given; the message that says so shows the example."""
    return dataclasses.field(metadata={"example": example})


def keys_of(cls: type) -> dict[str, dataclasses.Field[object]]:
    """The fields of a command's arguments by the keys that one types."""
    return {f.metadata.get("key", f.name): f for f in dataclasses.fields(cls)}


def read_arguments(cls: type[Arguments], arguments: Sequence[str]) -> Arguments:
    """What `key=value` arguments say, as an object of the command's dataclass.

    Raises:
        UsageError: one is not of that form, its key is unknown, its value is of the wrong type or
            refused by the class, or one is missing.
    """
    keys, values = keys_of(cls), OmegaConf.structured(cls)
    keys_seen: set[str] = set()
    for each in arguments:
        key, equals, value = each.partition("=")
        if not equals:
            raise UsageError(f"{each} is not of the form key=value; --help shows the keys.")
        if key in keys_seen:
            raise UsageError(f"{key} is given twice; keep one.")
        keys_seen.add(key)
        if key not in keys:
            near = difflib.get_close_matches(key, keys, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(keys)}."
            raise UsageError(f"There is no key {key}; {hint}")
        _set(values, keys[key], key, value)
    for key, field in keys.items():
        if OmegaConf.is_missing(values, field.name):
            raise UsageError(f"Give {key}={field.metadata['example']}.")
    read: Any = OmegaConf.to_object(values)
    return read


def _set(values: DictConfig, field: dataclasses.Field[object], key: str, value: str) -> None:
    if field.type in ("bool", bool) and value.lower() not in ("true", "false"):
        raise UsageError(f"{key}={value} should be true or false.")
    try:
        values[field.name] = value.replace("${", "\\${")  # no interpolation: a file may be called so
    except ValidationError as error:
        raise UsageError(f"{key}={value} should be a whole number.") from error


def split_config_dir(arguments: Sequence[str]) -> tuple[list[str], str | None]:
    """The arguments without Hydra's flag for a folder of the user's (`--config-dir mine`), and that folder.

    Raises:
        UsageError: the flag has no folder behind it, or is given twice.
    """
    rest, folder = list(arguments), None
    for i, each in enumerate(arguments):
        flag, equals, value = each.partition("=")
        if flag in ("--config-dir", "-cd"):
            if folder is not None:
                raise UsageError(f"{flag} is given twice; keep one, or put both folders' files into one.")
            folder = os.path.expanduser(value if equals else "".join(arguments[i + 1 : i + 2]))
            if not folder:
                raise UsageError(f"{flag} needs a folder: --config-dir mine")
            rest = [*arguments[:i], *arguments[i + (1 if equals else 2) :]]
    return rest, folder
