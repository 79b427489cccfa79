"""Reading the fields of a raw row. Each is checked to be there, of its type, and possible.

All raise ValueError; the message names the field, what it should be and what was found.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

RawRow = Mapping[str, Any]
Kind = TypeVar("Kind")
LARGEST_INDEX = 2**31 - 1
NUMBER = re.compile("-1|0|[1-9][0-9]{0,8}")  # as CSV files and AX-b write one; 007 is none: it may be a name


def read(row: RawRow, field: str, kind: type[Kind]) -> Kind:
    """The field's value, checked to be of that type; a bool does not pass as an int.

    Raises:
        ValueError: naming the field, what it should be and what was found.
    """
    if not isinstance(row, Mapping) or field not in row:
        present = ", ".join(map(repr, row)) if isinstance(row, Mapping) else repr(row)
        raise ValueError(f"field {field!r} is missing, found only {present:.80}")
    value = row[field]
    if not isinstance(value, kind) or isinstance(value, bool):  # a bool is an int to Python, but no index
        raise ValueError(f"field {field!r} should be {kind.__name__}, found {type(value).__name__} {value!r:.80}")
    return value


def read_text(row: RawRow, field: str, may_be_empty: bool = False) -> str:
    """The field's text without the spaces around it.

    Raises:
        ValueError: naming the field, what it should be and what was found.
    """
    text = read(row, field, str)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        surrogate = text[error.start]
        raise ValueError(f"field {field!r} has a lone surrogate, found {surrogate!r} in {text!r:.80}") from error
    if not text.strip() and not may_be_empty:
        raise ValueError(f"field {field!r} is empty")
    return text.strip()


def read_index(row: RawRow, field: str) -> int:
    """The field's number, which may be written as text: an idx, or a place in a text.

    Raises:
        ValueError: naming the field, what it should be and what was found.
    """
    is_written = isinstance(row, Mapping) and isinstance(row.get(field), str) and NUMBER.fullmatch(row[field])
    index = int(row[field]) if is_written else read(row, field, int)
    if not 0 <= index <= LARGEST_INDEX:
        raise ValueError(f"field {field!r} should be from 0 to {LARGEST_INDEX}, found {index}")
    return index


def read_label(row: RawRow, labels: Sequence[str], field: str = "label") -> int | None:
    """The label's index, given as a name, a bool or an index, which may be written as text; None when it is -1, None or
    missing, or the task has no labels. Where labels are numbers themselves, an index would be one of them.

    Raises:
        ValueError: naming the field, what it should be and what was found.
    """
    value = row.get(field)
    if not labels or value is None:
        return None
    names = [label.lower() for label in labels]
    if isinstance(value, str | int):  # a bool is an int
        written = str(value).strip().lower()
        if written in names:
            return names.index(written)
        if written == "-1":
            return None
        if NUMBER.fullmatch(written) and int(written) < len(names) and not any(map(NUMBER.fullmatch, names)):
            return int(written)
    raise ValueError(
        f"field {field!r} should be one of {', '.join(labels)}, or -1, found {type(value).__name__} {value!r:.80}"
    )
