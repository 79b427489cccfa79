"""Files with a JSON object a line. Every fault is one line that names its place."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from typing import Any

from rpt.errors import UsageError

MAX_DIGITS = 20  # of a number


def read_json_lines(content: bytes, name: str, first: int = 1) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each line that is not empty: its place ("line 3") and the object in it.

    Args:
        name: of the file, for messages.
        first: the number of the first line.

    Raises:
        UsageError: a line is not UTF-8 text with one JSON object.
    """
    if content.startswith(b"\x1f\x8b"):
        raise UsageError(f"{name}, line {first} is compressed (gzip), not a JSON object; decompress the file.")
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\0" in content[:4]:
        raise UsageError(f"{name}, line {first} is UTF-16 text, not UTF-8; convert the file.")
    for number, line in enumerate(content.removeprefix(codecs.BOM_UTF8).split(b"\n"), start=first):
        place = f"{name}, line {number}"
        try:
            text = line.decode()
        except UnicodeDecodeError as error:
            raise UsageError(
                f"{place} is not UTF-8 text: byte {line[error.start]:#04x} at {error.start}; convert the file."
            ) from error
        if text.strip():
            yield f"line {number}", _parsed(text, place)


def _parsed(text: str, place: str) -> dict[str, Any]:
    try:
        row = json.loads(text, object_pairs_hook=_each_once, parse_int=_integer, parse_constant=_constant)
    except json.JSONDecodeError as error:
        is_cut = text.lstrip().startswith("{")
        table = "give one JSON object a line (.jsonl), or for a custom task a table with commas (.csv)"
        remedy = "download the file again" if is_cut else table
        raise UsageError(f"{place} is not JSON: {error.msg}; {remedy}.") from error
    except ValueError as error:
        raise UsageError(f"{place} should be one JSON object; it has {error}.") from error
    except RecursionError as error:
        raise UsageError(f"{place} should be one JSON object; it is nested too deeply.") from error
    if not isinstance(row, dict):
        table = "; write the objects of this list one a line" if isinstance(row, list) else ""
        raise UsageError(f"{place} should be one JSON object with the fields of a row, found {text.strip():.80}{table}")
    return row


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {twice!r:.80} twice")
    return row


def _integer(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise ValueError(f"a number of {len(digits):,} digits")
    return int(digits)


def _constant(word: str) -> None:
    raise ValueError(f"{word}, which is no JSON")
