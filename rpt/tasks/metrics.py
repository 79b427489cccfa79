"""The metrics of the eight tasks. They are pure functions that return fractions between 0 and 1.

Gold labels are class indices; a prediction is a class index, or None if the text was no label. None is always wrong: it
never earns a point and never forms a class. Empty input raises ValueError.
"""

from __future__ import annotations

import math
import re
import string
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Sequence

from rpt.tasks.examples import Prediction

_PUNCTUATION = str.maketrans("", "", string.punctuation)
_NO_LABEL = -1  # replaces None: scikit-learn wants integers


def clean(text: str) -> str:
    """The text in lower case, without punctuation, articles and repeated spaces (as SQuAD and ReCoRD normalise)."""
    bare = text.lower().translate(_PUNCTUATION)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", bare).split())


def mean(values: Sequence[float]) -> float:
    """Arithmetic mean."""
    _refuse_empty(values)
    return sum(values) / len(values)


def accuracy(gold: Sequence[int], predicted: Sequence[Prediction]) -> float:
    """Share of equal labels."""
    return mean([g == p for g, p in zip(gold, predicted, strict=True)])


def macro_f1(gold: Sequence[int], predicted: Sequence[Prediction], n_classes: int) -> float:
    """Unweighted mean of each class's F1, over the task's own classes.

    A class that neither gold nor predictions contain has no F1 and is left out of the mean. scikit-learn does so by
    default, and with it the hub's super_glue metric. T5 and the benchmark's toolkit jiant always divide by the number
    of classes: perfect predictions for rows of two classes would score two thirds. The conventions agree on CB's
    official splits, which have gold labels of all three classes; they differ only on small subsets.
    """
    from sklearn.metrics import f1_score  # slow to import, and only needed to score

    _refuse_empty(gold)
    numbers = [_NO_LABEL if p is None else p for p in predicted]
    return float(f1_score(gold, numbers, labels=range(n_classes), average="macro", zero_division=math.nan))


def f1_answers(gold: Sequence[int], predicted: Sequence[Prediction]) -> float:
    """F1 of the positive answers over all answers (MultiRC's F1a); 0 if there are no positives."""
    from sklearn.metrics import f1_score  # slow to import, and only needed to score

    _refuse_empty(gold)
    return float(f1_score(gold, _count_none_as_wrong(gold, predicted), zero_division=0.0))


def f1_per_question(gold: Sequence[int], predicted: Sequence[Prediction], questions: Sequence[Hashable]) -> float:
    """Macro-F1 of each question's answers, averaged over questions (F1m as the hub computes it)."""
    answers = _by_question(gold, _count_none_as_wrong(gold, predicted), questions)
    outcomes = Counter(tuple(sorted(pairs)) for pairs in answers)  # thousands of questions have few distinct outcomes
    f1 = {pairs: macro_f1([g for g, _ in pairs], [p for _, p in pairs], n_classes=2) for pairs in outcomes}
    return mean([f1[pairs] for pairs in outcomes.elements()])


def exact_match_per_question(
    gold: Sequence[int], predicted: Sequence[Prediction], questions: Sequence[Hashable]
) -> float:
    """Share of questions whose answers are all judged correctly; `questions` names the question of each answer."""
    answers = _by_question(gold, predicted, questions)
    return mean([all(g == p for g, p in pairs) for pairs in answers])


def exact_match(text: Prediction, answers: Sequence[str]) -> float:
    """1.0 if the text equals one of the gold answers after `clean`, else 0.0."""
    return float(max(_against_each(lambda t, a: clean(t) == clean(a), text, answers)))


def token_f1(text: Prediction, answers: Sequence[str]) -> float:
    """Highest F1 between the words of the text and those of a gold answer, after `clean`."""
    return max(_against_each(_bag_f1, text, answers))


def _refuse_empty(values: Sequence[object]) -> None:
    if not values:
        raise ValueError("there is nothing to score")


def _bag_f1(text: str, answer: str) -> float:
    ours, theirs = clean(text).split(), clean(answer).split()
    shared = sum((Counter(ours) & Counter(theirs)).values())
    return 2 * shared / (len(ours) + len(theirs)) if shared else 0.0


def _against_each(compare: Callable[[str, str], float], text: Prediction, answers: Sequence[str]) -> list[float]:
    if not answers:
        raise ValueError("there is no gold answer to compare with")
    return [compare(text, answer) if isinstance(text, str) else 0.0 for answer in answers]


def _count_none_as_wrong(gold: Sequence[int], predicted: Sequence[Prediction]) -> list[int]:
    """With two classes, a prediction that is neither counts as the wrong class (as in T5), not as "no"."""
    return [1 - g if p is None or p not in (0, 1) else int(p) for g, p in zip(gold, predicted, strict=True)]


def _by_question(
    gold: Sequence[int], predicted: Sequence[Prediction], questions: Sequence[Hashable]
) -> list[list[tuple[int, Prediction]]]:
    pairs = defaultdict(list)
    for g, p, question in zip(gold, predicted, questions, strict=True):
        pairs[question].append((g, p))
    return list(pairs.values())
