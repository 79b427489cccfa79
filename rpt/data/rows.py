"""Raw rows as examples. What cannot be right is refused, what is only odd is counted and said in one line."""

from __future__ import annotations

import functools
import logging
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping

from rpt.errors import UsageError
from rpt.tasks import Example, Task
from rpt.tasks.custom import CustomTask
from rpt.tasks.fields import RawRow

log = logging.getLogger("rpt")

LocatedRow = tuple[str, RawRow]  # its place in the source ("line 3"), and the row
Located = tuple[str, Example]


def parse_rows(task: Task, source: str, rows: Iterable[LocatedRow], labelled: bool = False) -> list[Example]:
    """Parse the rows of one split into examples, and log a warning about odd ones.

    Args:
        source: the origin of the rows, for messages.
        rows: each with its place in the source, "line 3".
        labelled: whether every example must have a label or answers, for scoring.

    Raises:
        UsageError: there are no rows, or a row is impossible.
    """
    located = list(_parsed(task, source, rows, labelled))
    if not located:
        raise UsageError(f"{source} has no rows of {task.name}; give another file, or data set.")
    _check_indices(task, source, located)
    if warnings := "; ".join(_count_warnings(task, located)):
        warn_once(f"{source}, of {len(located)} examples: {warnings}")
    return [example for _, example in located]


def _parsed(task: Task, source: str, rows: Iterable[LocatedRow], labelled: bool) -> Iterator[Located]:
    for place, row in rows:
        try:
            examples = task.parse(row)
        except (ValueError, RecursionError) as error:  # the second for a wrong value that is too deeply nested to print
            raise UsageError(f"{source}, {place}: {error}{_name_keys(task, row)}") from error
        for example in examples:
            if labelled and not _has_gold(example):
                raise UsageError(f"{source}, {place}: {task.name}: {_explain_missing_label(task, row)}")
            yield place, example


def _name_keys(task: Task, row: RawRow) -> str:
    """The key that declares what an impossible row of a custom task may lack."""
    if not isinstance(task, CustomTask) or not isinstance(row, Mapping):
        return ""
    if any(column not in row for column in task.columns):
        return "; give the columns to read as task.fields"
    return "; give every label as task.labels, and their column as task.answer" if task.answer in row else ""


def _explain_missing_label(task: Task, row: RawRow) -> str:
    needed = "label" if task.labels else "answers"
    remedy = "test rows cannot be scored."
    if isinstance(task, CustomTask):
        needed = task.answer
        others = [column for column in row if column not in (*task.columns, "idx")]
        if needed not in row and others:
            remedy = f"if that is {' or '.join(others)}, give task.answer={others[0]}."
    return f"field {needed!r} is needed in a validation row, found none; {remedy}"


def _has_gold(example: Example) -> bool:
    return example.label is not None or bool(example.answers)


def _check_indices(task: Task, source: str, located: list[Located]) -> None:
    """Refuse rows that all have one idx, and groups that share an idx: rows of one group are scored together."""
    if len(located) > 1 and len({str(example.idx) for _, example in located}) == 1:
        raise UsageError(f"{source}: every row has the idx {located[0][1].idx}; number the rows.")
    texts: dict[Hashable, tuple[str, ...]] = {}
    for place, example in located:
        if example.group is None:
            continue
        group_texts = tuple(example.fields[column] for column in task.group_by)
        if texts.setdefault(example.group, group_texts) != group_texts:
            raise UsageError(
                f"{source}, {place}: {task.name}: another {task.group_by[-1]} has the idx {example.group}; "
                "number them apart."
            )


def _count_warnings(task: Task, located: list[Located]) -> Iterator[str]:
    """Each kind of oddity, with its number of examples and the place of the first."""
    counts: Counter[str] = Counter()
    first: dict[str, str] = {}
    seen_indices: set[str] = set()
    seen: dict[Hashable, tuple[int | None, tuple[str, ...]]] = {}
    for place, example in located:
        index, fields = str(example.idx), tuple(example.fields.values())
        warnings = list(task.warnings(example))
        if not _has_gold(example):
            warnings.append("without a label")
        if index in seen_indices:
            warnings.append("with the idx of another one")
        if fields in seen:
            same = seen[fields] == (example.label, example.answers)
            warnings.append("repeating another one" if same else "repeating one of another label")
        seen_indices.add(index)
        seen.setdefault(fields, (example.label, example.answers))
        for warning in warnings:
            counts[warning] += 1
            first.setdefault(warning, place)
    for warning, count in counts.items():
        yield f"{count} {warning} (first: {first[warning]})"


@functools.cache
def warn_once(message: str) -> None:
    """Log a warning once a process: a sweep may read the rows of a task several times."""
    log.warning(message)
