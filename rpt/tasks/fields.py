"""Reading the fields of a raw row: each is checked to be there and of its type.

All raise ValueError; the message names the field and what was found.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]


def read(row: Row, field: str, kind: type) -> Any:
    """The field's value, checked to be of that type."""
    if not isinstance(row, Mapping) or field not in row:
        found = ", ".join(row) if isinstance(row, Mapping) else repr(row)
        raise ValueError(f"field {field!r} is missing, found only {found:.80}")
    value = row[field]
    if not isinstance(value, kind) or isinstance(value, bool):  # a bool is an int to Python, but no index
        raise ValueError(f"field {field!r} should be {kind.__name__}, found {type(value).__name__} {value!r:.80}")
    return value


def read_label(row: Row, labels: Sequence[str]) -> int | None:
    """The label's index, given as a name, a bool or an index; None when it is -1, None or missing."""
    value = row.get("label")
    if not labels or value is None:
        return None
    names = [label.lower() for label in labels]
    if isinstance(value, bool | str):
        if str(value).lower() in names:
            return names.index(str(value).lower())
    elif isinstance(value, int) and -1 <= value < len(names):
        return None if value == -1 else value
    raise ValueError(
        f"field 'label' should be one of {', '.join(labels)}, or -1, found {type(value).__name__} {value!r:.80}"
    )
