"""Reading the fields of a raw row. Each is checked to be there, of its type, and possible.

All raise ValueError; the message names the field, what it should be and what was found.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

RawRow = Mapping[str, Any]
Kind = TypeVar("Kind")
LARGEST_INDEX = 2**31 - 1


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
    """The field's number: an idx, or a place in a text.

    Raises:
        ValueError: naming the field, what it should be and what was found.
    """
    index = read(row, field, int)
    if not 0 <= index <= LARGEST_INDEX:
        raise ValueError(f"field {field!r} should be from 0 to {LARGEST_INDEX}, found {index}")
    return index


def read_label(row: RawRow, labels: Sequence[str], field: str = "label") -> int | None:
    """The label's index, given as a name, a bool or an index; None when it is -1, None or missing, or the task has no
    labels.

    Raises:
        ValueError: naming the field, what it should be and what was found.
    """
    value = row.get(field)
    if not labels or value is None:
        return None
    names = [label.lower() for label in labels]
    if isinstance(value, bool | str):
        if str(value).lower() in names:
            return names.index(str(value).lower())
    elif isinstance(value, int) and -1 <= value < len(names):
        return None if value == -1 else value
    raise ValueError(
        f"field {field!r} should be one of {', '.join(labels)}, or -1, found {type(value).__name__} {value!r:.80}"
    )
