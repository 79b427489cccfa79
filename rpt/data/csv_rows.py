"""CSV files whose first line names columns. Every fault is one line that names its place."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from typing import Any

from rpt.errors import UsageError

csv.field_size_limit(2**31 - 1)  # a value may be a whole book; by itself the library takes 131,072 characters


def read_csv_rows(content: bytes, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each row: the line on which it ends ("line 3") and its values by column.

    Args:
        name: of the file, for messages.

    Raises:
        UsageError: the file is not UTF-8 text, or a row has more or fewer values than there are columns.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{name} is not UTF-8 text: byte {content[error.start]:#04x} at {error.start}; convert it."
        ) from error
    rows = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        _check_columns(rows.fieldnames or (), name)
        for row in rows:
            if None in row or None in row.values():
                raise UsageError(
                    f"{name}, line {rows.line_num} should have {len(rows.fieldnames or ())} values, one for each "
                    "column; quote a value that holds a comma."
                )
            yield f"line {rows.line_num}", row
    except csv.Error as error:
        raise UsageError(
            f"{name}, line {rows.line_num + 1} is not CSV ({error}); quote values with a comma or a quote."
        ) from error


def _check_columns(columns: Sequence[str], name: str) -> None:
    """Refuse a first line that names a column twice, or separates them by semicolons or tabs: it would be read as one
    column."""
    if twice := [column for column in columns if list(columns).count(column) > 1]:
        raise UsageError(f"{name}, line 1 has the column {twice[0]!r} twice; rename one.")
    for separator, what in ((";", "semicolons"), ("\t", "tabs")):
        if len(columns) == 1 and separator in columns[0]:
            raise UsageError(f"{name}, line 1 has {what} between its columns; save the file with commas, or as .jsonl.")
