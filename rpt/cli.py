"""The `key=value` words of the small commands (rpt.predict, rpt.export)."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable

from rpt.errors import RecordError, UsageError


def command_line(help_text: str, defaults: dict[str, str | None], do: Callable[[dict[str, str | None]], None]) -> None:
    """Do what the words ask for: every mistake of the user's ends in one message and exit code 2.

    Args:
        help_text: what --help prints.
        defaults: every key there is, with the value it has unless it is given.
    """
    words = sys.argv[1:]
    if {"-h", "--help"} & set(words):
        print(help_text.strip())
        return
    try:
        do(defaults | given(words, list(defaults)))
    except (UsageError, RecordError) as error:
        print(f"rpt: {error}", file=sys.stderr)
        sys.exit(2)


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


def truth(key: str, value: str) -> bool:
    """`true` or `false`.

    Raises:
        UsageError: it is neither.
    """
    if value.lower() not in ("true", "false"):
        raise UsageError(f"{key}={value} should be true or false.")
    return value.lower() == "true"
