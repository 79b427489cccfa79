"""The metrics. They are pure functions that return fractions between 0 and 1.

Gold labels are class indices; a prediction is a class index, or None where the text was no label at all. None
is always wrong: it never earns a point and never makes a class of its own. Empty input raises ValueError.
"""

from __future__ import annotations

import math
import re
import string
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Sequence

Label = int | None

_PUNCTUATION = str.maketrans("", "", string.punctuation)
_NO_LABEL = -1  # stands for None where scikit-learn wants integers


def clean(text: str) -> str:
    """Lower-case, without punctuation and articles, spaces squeezed (SQuAD's and ReCoRD's normalisation)."""
    bare = text.lower().translate(_PUNCTUATION)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", bare).split())


def mean(values: Sequence[float]) -> float:
    """Arithmetic mean."""
    _refuse_empty(values)
    return sum(values) / len(values)


def accuracy(gold: Sequence[int], predicted: Sequence[Label]) -> float:
    """Share of equal labels."""
    return mean([g == p for g, p in zip(gold, predicted, strict=True)])


def micro_f1(gold: Sequence[int], predicted: Sequence[Label]) -> float:
    """Micro-averaged F1, the published code's MultiRC metric. With one label per row it equals accuracy."""
    return accuracy(gold, predicted)


def macro_f1(gold: Sequence[int], predicted: Sequence[Label], n_classes: int) -> float:
    """Unweighted mean of each class's F1, over the task's own classes.

    A class that neither gold nor predictions contain has no F1 and is left out of the mean, as by scikit-learn's
    default and so in the hub's super_glue metric. T5 and the benchmark's toolkit jiant divide by all classes whatever
    there is, so that a perfect answer to rows of two classes would get two thirds. On CB's own splits the conventions
    agree: each has gold labels of all three classes. They differ on small parts of them alone.
    """
    from sklearn.metrics import f1_score  # slow to import, and only needed to score

    _refuse_empty(gold)
    numbers = [_NO_LABEL if p is None else p for p in predicted]
    return float(f1_score(gold, numbers, labels=range(n_classes), average="macro", zero_division=math.nan))


def f1_answers(gold: Sequence[int], predicted: Sequence[Label]) -> float:
    """F1 of the positive answers over all answers (MultiRC's F1a); 0 where there is no positive at all."""
    from sklearn.metrics import f1_score  # slow to import, and only needed to score

    _refuse_empty(gold)
    return float(f1_score(gold, _missed_is_wrong(gold, predicted), zero_division=0.0))


def f1_per_question(gold: Sequence[int], predicted: Sequence[Label], questions: Sequence[Hashable]) -> float:
    """Macro-F1 of each question's answers, averaged over questions (F1m as the hub computes it)."""
    answers = _by_question(gold, _missed_is_wrong(gold, predicted), questions)
    alike = Counter(tuple(sorted(pairs)) for pairs in answers)  # thousands of questions, but few outcomes
    f1 = {pairs: macro_f1([g for g, _ in pairs], [p for _, p in pairs], n_classes=2) for pairs in alike}
    return mean([f1[pairs] for pairs in alike.elements()])


def exact_match_per_question(gold: Sequence[int], predicted: Sequence[Label], questions: Sequence[Hashable]) -> float:
    """Share of questions with every answer judged rightly; `questions` names each answer's question."""
    answers = _by_question(gold, predicted, questions)
    return mean([all(g == p for g, p in pairs) for pairs in answers])


def exact_match(text: str | None, answers: Sequence[str]) -> float:
    """1.0 if the text equals one of the gold answers after `clean`, else 0.0."""
    return float(max(_against_each(lambda t, a: clean(t) == clean(a), text, answers)))


def token_f1(text: str | None, answers: Sequence[str]) -> float:
    """F1 between the bags of words of the text and of the gold answer that suits it best, after `clean`."""
    return max(_against_each(_bag_f1, text, answers))


def _refuse_empty(values: Sequence[object]) -> None:
    if not values:
        raise ValueError("there is nothing to score")


def _bag_f1(text: str, answer: str) -> float:
    ours, theirs = clean(text).split(), clean(answer).split()
    shared = sum((Counter(ours) & Counter(theirs)).values())
    return 2 * shared / (len(ours) + len(theirs)) if shared else 0.0


def _against_each(compare: Callable[[str, str], float], text: str | None, answers: Sequence[str]) -> list[float]:
    if not answers:
        raise ValueError("there is no gold answer to compare with")
    return [0.0 if text is None else compare(text, answer) for answer in answers]


def _missed_is_wrong(gold: Sequence[int], predicted: Sequence[Label]) -> list[int]:
    """Of two classes, a prediction that is neither counts as the wrong one (as in T5), not as a "no"."""
    return [p if p in (0, 1) else 1 - g for g, p in zip(gold, predicted, strict=True)]


def _by_question(
    gold: Sequence[int], predicted: Sequence[Label], questions: Sequence[Hashable]
) -> list[list[tuple[int, Label]]]:
    pairs = defaultdict(list)
    for g, p, question in zip(gold, predicted, questions, strict=True):
        pairs[question].append((g, p))
    return list(pairs.values())
