"""Do validation rows stand among training rows? A score on such rows says only that they were learned by heart."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from rpt.data.rows import warn_once
from rpt.errors import UsageError
from rpt.tasks import Example, Task


def check_overlap(task: Task, train: Sequence[Example], val: Sequence[Example]) -> None:
    """Warn if some validation rows have the same fields as a training row, whatever their labels.

    Raises:
        UsageError: all of them do.
    """
    trained = set(map(_fields, train))
    repeated = sum(_fields(example) in trained for example in val)
    if repeated == len(val):
        raise UsageError(
            f"{task.name}: all {len(val)} validation rows are also training rows, so their score would say nothing; "
            "give other rows to validate on."
        )
    if repeated:
        warn_once(
            f"{task.name}: {repeated} of {len(val)} validation rows are also training rows, which makes their score "
            "too high; remove them from one of the two."
        )


def _fields(example: Example) -> Hashable:
    return tuple(example.fields.items())
