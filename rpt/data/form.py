"""Do training and validation rows look alike?

Why: BoolQ's validation passages once lacked the title that every training passage begins with, and no score showed it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from statistics import median

from rpt.tasks import Example, Task

ODD_LENGTH = 2.5  # ratio of the median numbers of words
ODD_SHARE = 0.2  # difference of shares, beyond what chance causes in few rows


def compare_forms(task: Task, train: Sequence[Example], val: Sequence[Example]) -> str | None:
    """One line on how validation rows differ oddly from training rows, for the log and the record; None if they do
    not."""
    if not (differences := list(_differences(task, train, val))):
        return None
    return (
        f"{task.name}: training and validation rows differ in form, {'; '.join(differences)}: "
        "see whether both files are of one release."
    )


def _differences(task: Task, train: Sequence[Example], val: Sequence[Example]) -> Iterator[str]:
    fewest = min(len(train), len(val))
    tolerance = ODD_SHARE + 1.5 / fewest**0.5

    def odd(what: str, ours: float, theirs: float) -> Iterator[str]:
        if abs(ours - theirs) > tolerance:
            yield f"{what} {100 * ours:.0f} % and {100 * theirs:.0f} %"

    field = _longest_field(train[:1000])
    ours, theirs = ([example.fields[field] for example in examples] for examples in (train, val))
    yield from odd(f"{field} with a title", _titled(ours), _titled(theirs))
    # More rows repeat more often: the expected share lies between that of all training rows and that of as many of
    # them as there are validation rows.
    bounds, repeated = sorted([_repeated(ours), _repeated(ours[:fewest])]), _repeated(theirs)
    yield from odd(f"{field} repeated", min(max(repeated, bounds[0]), bounds[1]), repeated)
    lengths = [median(len(text.split()) for text in texts) for texts in (ours, theirs)]
    if max(lengths) > ODD_LENGTH * min(lengths):
        yield f"{field} of {lengths[0]:.0f} and {lengths[1]:.0f} words in the median"
    labels = [Counter(example.label for example in examples) for examples in (train, val)]
    for i, label in enumerate(task.labels):
        yield from odd(f"label {label}", *(count[i] / count.total() for count in labels))


def _longest_field(examples: Sequence[Example]) -> str:
    """The field with the most words: usually a passage."""
    names = [name for name, value in examples[0].fields.items() if isinstance(value, str)]
    return max(names, key=lambda name: sum(len(example.fields[name].split()) for example in examples))


def _titled(texts: Sequence[str]) -> float:
    """The share of texts that begin with a title, `Title -- `."""
    return sum(bool(re.match(r".{1,80}? -- ", text)) for text in texts) / len(texts)


def _repeated(texts: Sequence[str]) -> float:
    """The share of texts that repeat an earlier one."""
    return 1 - len(set(texts)) / len(texts)
