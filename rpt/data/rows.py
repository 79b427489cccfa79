"""Raw rows as examples. What cannot be right is refused, what is only odd is counted and said in one line."""

from __future__ import annotations

import functools
import logging
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping
from typing import Any

from rpt.errors import UsageError
from rpt.tasks import Example, Task
from rpt.tasks.own import OwnTask

log = logging.getLogger("rpt")

Located = tuple[str, Example]  # where it stands in its source ("line 3"), and the example


def parse_rows(
    task: Task, source: str, rows: Iterable[tuple[str, Mapping[str, Any]]], labelled: bool = False
) -> list[Example]:
    """The examples in the rows of one split; odd ones are warned of.

    Args:
        source: what the rows come from, for messages.
        rows: each with its place in the source, "line 3".
        labelled: whether each example needs its label or answers, to be scored.

    Raises:
        UsageError: there is no row, or one that cannot be right.
    """
    located = list(_parsed(task, source, rows, labelled))
    if not located:
        raise UsageError(f"{source} has no rows of {task.name}.")
    _check_indices(task, source, located)
    if doubts := "; ".join(_doubts(task, located)):
        warn_once(f"{source}, of {len(located)} examples: {doubts}")
    return [example for _, example in located]


def _parsed(
    task: Task, source: str, rows: Iterable[tuple[str, Mapping[str, Any]]], labelled: bool
) -> Iterator[Located]:
    for place, row in rows:
        try:
            examples = task.parse(row)
        except (ValueError, RecursionError) as error:  # the second where a wrong value is too nested to be shown
            raise UsageError(f"{source}, {place}: {error}") from error
        for example in examples:
            if labelled and not _has_gold(example):
                raise UsageError(f"{source}, {place}: {task.name}: {_lack_of_gold(task, row)}")
            yield place, example


def _lack_of_gold(task: Task, row: Mapping[str, Any]) -> str:
    needed = "label" if task.labels else "answers"
    remedy = "test rows cannot be scored."
    if isinstance(task, OwnTask):
        needed = task.answer
        others = [column for column in row if column not in (*task.columns, "idx")]
        if needed not in row and others:
            remedy = f"if that is {' or '.join(others)}, give task.answer={others[0]}."
    return f"field {needed!r} is needed in a validation row, found none; {remedy}"


def _has_gold(example: Example) -> bool:
    return example.label is not None or bool(example.answers)


def _check_indices(task: Task, source: str, located: list[Located]) -> None:
    """An idx is to tell rows apart, and that of a group tells what is scored together."""
    if len(located) > 1 and len({_index(example) for _, example in located}) == 1:
        raise UsageError(f"{source}: every row has the idx {located[0][1].idx}; number the rows.")
    texts: dict[Hashable, tuple[str, ...]] = {}
    for place, example in located:
        if example.group is None:
            continue
        own = tuple(example.fields[column] for column in task.group_by)
        if texts.setdefault(example.group, own) != own:
            raise UsageError(
                f"{source}, {place}: {task.name}: another {task.group_by[-1]} has the idx {example.group}; "
                "number them apart."
            )


def _index(example: Example) -> Hashable:
    return tuple(sorted(example.idx.items())) if isinstance(example.idx, Mapping) else example.idx


def _doubts(task: Task, located: list[Located]) -> Iterator[str]:
    """Each kind of oddity with how often it is met and where first."""
    counts: Counter[str] = Counter()
    first: dict[str, str] = {}
    seen_indices: set[Hashable] = set()
    seen: dict[Hashable, tuple[int | None, tuple[str, ...]]] = {}
    for place, example in located:
        index, fields = _index(example), tuple(example.fields.values())
        doubts = list(task.doubts(example))
        if not _has_gold(example):
            doubts.append("without a label")
        if index in seen_indices:
            doubts.append("with the idx of another one")
        if fields in seen:
            same = seen[fields] == (example.label, example.answers)
            doubts.append("repeating another one" if same else "repeating one of another label")
        seen_indices.add(index)
        seen.setdefault(fields, (example.label, example.answers))
        for doubt in doubts:
            counts[doubt] += 1
            first.setdefault(doubt, place)
    for doubt, count in counts.items():
        yield f"{count} {doubt} (first: {first[doubt]})"


@functools.cache
def warn_once(what: str) -> None:
    """A sweep that comes back to a task reads its rows again; what it has said of them it does not repeat."""
    log.warning(what)
