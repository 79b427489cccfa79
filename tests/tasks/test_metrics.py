"""Every metric against an independent computation; the tasks' scores; the same through `evaluate`."""

import random
import re
import string

import pytest
import sklearn.metrics  # else imported by the first score, whose test would miss its deadline
from hypothesis import given, settings
from hypothesis import strategies as st

from rpt.data import miniature
from rpt.metrics import SUPER_GLUE
from rpt.tasks import TASKS, get_task, metrics
from tests.tasks.rows import GOLDEN


def judged(n_classes: int, predictions=None):
    """Rows of (gold, prediction, question); a prediction is a class or None."""
    label = st.integers(0, n_classes - 1)
    return st.lists(st.tuples(label, predictions or st.none() | label, st.integers(0, 4)), min_size=1, max_size=40)


WORDS = st.lists(st.sampled_from(["the", "a", "Red", "red", "cup", "cup's", "Ulm.", "an"]), max_size=5).map(" ".join)


def plain_f1(rows, label) -> float | None:
    hits = sum(g == p == label for g, p, *_ in rows)
    called, present = sum(p == label for _, p, *_ in rows), sum(g == label for g, *_ in rows)
    if not called + present:
        return None
    precision, recall = hits / called if called else 0, hits / present if present else 0
    return 2 * precision * recall / (precision + recall) if hits else 0.0


def plain_macro_f1(rows, n_classes) -> float:
    each = [f1 for label in range(n_classes) if (f1 := plain_f1(rows, label)) is not None]
    return sum(each) / len(each)


def flipped(rows):
    return [(g, (1 - g) if p is None else p, q) for g, p, q in rows]


def questions_of(rows):
    return [[row for row in rows if row[2] == q] for q in sorted({q for *_, q in rows})]


def close(value):
    return pytest.approx(value, abs=1e-12)


@given(judged(3))
def test_accuracy_and_macro_f1(rows):
    gold, predicted, _ = zip(*rows, strict=True)
    accuracy = len([1 for g, p, _ in rows if p is not None and g == p]) / len(rows)
    assert metrics.accuracy(gold, predicted) == close(accuracy)
    assert metrics.macro_f1(gold, predicted, 3) == close(plain_macro_f1(rows, 3))


@given(judged(2))
def test_multirc_metrics(rows):
    gold, predicted, questions = zip(*rows, strict=True)
    per_question = questions_of(rows)
    exact = [all(g == p for g, p, _ in answers) for answers in per_question]
    f1_m = [plain_macro_f1(flipped(answers), 2) for answers in per_question]
    assert metrics.exact_match_per_question(gold, predicted, questions) == close(sum(exact) / len(exact))
    assert metrics.f1_answers(gold, predicted) == close(plain_f1(flipped(rows), 1) or 0.0)
    assert metrics.f1_per_question(gold, predicted, questions) == close(sum(f1_m) / len(f1_m))


@given(judged(3), st.integers(0, 39))
def test_turning_a_right_answer_into_none_never_helps(rows, place):
    gold, predicted, _ = zip(*rows, strict=True)
    worse = list(predicted)
    worse[place % len(rows)] = None
    if predicted[place % len(rows)] == gold[place % len(rows)]:
        assert metrics.accuracy(gold, worse) < metrics.accuracy(gold, predicted)
        assert metrics.macro_f1(gold, worse, 3) < metrics.macro_f1(gold, predicted, 3)


def squad(text: str) -> list[str]:
    text = "".join(letter for letter in text.lower() if letter not in string.punctuation)
    return re.sub(r"\b(a|an|the)\b", " ", text).split()


def plain_token_f1(text, answer) -> float:
    ours, theirs = squad(text), squad(answer)
    left, shared = list(theirs), 0
    for word in ours:
        if word in left:
            left.remove(word)
            shared += 1
    if not shared:
        return 0.0
    precision, recall = shared / len(ours), shared / len(theirs)
    return 2 * precision * recall / (precision + recall)


@given(st.none() | WORDS, st.lists(WORDS, min_size=1, max_size=4))
def test_record_metrics(text, answers):
    f1 = 0.0 if text is None else max(plain_token_f1(text, answer) for answer in answers)
    exact = text is not None and squad(text) in [squad(answer) for answer in answers]
    assert metrics.token_f1(text, answers) == close(f1)
    assert metrics.exact_match(text, answers) == float(exact)


def test_by_hand():
    assert metrics.macro_f1([0, 1, 2, 2], [0, 1, 2, None], 3) == close((1 + 1 + 2 / 3) / 3)
    assert metrics.macro_f1([0, 0], [None, None], 3) == 0.0
    assert metrics.macro_f1([0, 0], [0, 0], 3) == 1.0
    assert metrics.f1_answers([0, 0], [0, 0]) == 0.0
    assert metrics.f1_answers([1, 0], [1, None]) == close(2 / 3)
    assert metrics.exact_match_per_question([1, 0, 1], [1, 0, None], "xxy") == 0.5
    assert metrics.token_f1("red cup", ["Ulm", "the red, cup!"]) == 1.0
    assert metrics.token_f1("red cup", ["cup"]) == close(2 / 3)


def test_macro_f1_leaves_out_a_class_that_is_nowhere():
    """As scikit-learn and the hub's metric do; if gold has every class, all conventions agree."""
    rows = [0, 1, 1, 0], [0, 1, 1, 1]
    ours = metrics.macro_f1(*rows, 3)
    assert ours == close((2 / 3 + 4 / 5) / 2) == sklearn.metrics.f1_score(*rows, average="macro")
    assert sklearn.metrics.f1_score(*rows, labels=range(3), average="macro", zero_division=0) == close(2 / 3 * ours)
    called = [0, 1, 1, 0], [0, 1, 1, 2]  # a class that is only predicted counts, with an F1 of 0
    assert metrics.macro_f1(*called, 3) == close((2 / 3 + 1 + 0) / 3)
    whole = [0, 1, 2, 2], [0, 1, 1, 2]
    assert metrics.macro_f1(*whole, 3) == close(sklearn.metrics.f1_score(*whole, labels=range(3), average="macro"))


@pytest.mark.parametrize(
    "call",
    [
        lambda: metrics.accuracy([], []),
        lambda: metrics.macro_f1([], [], 3),
        lambda: metrics.f1_answers([], []),
        lambda: metrics.f1_per_question([], [], []),
        lambda: metrics.exact_match_per_question([], [], []),
        lambda: metrics.token_f1("x", []),
        lambda: metrics.exact_match(None, []),
        lambda: metrics.accuracy([1], [1, 1]),
        lambda: metrics.macro_f1([1], [1, 1], 3),
        lambda: metrics.f1_answers([1], [1, 1]),
        lambda: metrics.f1_per_question([1], [1], [1, 1]),
        lambda: metrics.exact_match_per_question([1], [1], [1, 1]),
    ],
)
def test_empty_input_and_unequal_lengths_are_refused(call):
    with pytest.raises(ValueError):
        call()


# Scores of tasks


def examples_of(name, labels, questions=None):
    """One example per label; a multirc example belongs to the question of the same place."""
    row = GOLDEN[name].hub[-1]
    rows = [row | {"label": label} for label in labels]
    if questions is not None:
        rows = [r | {"idx": {"paragraph": 0, "question": q, "answer": 0}} for r, q in zip(rows, questions, strict=True)]
    return [example for r in rows for example in get_task(name).parse(r)]


@pytest.mark.parametrize("name", ["boolq", "copa", "rte", "wic"])
@given(rows=judged(2))
def test_score_is_accuracy_in_percent(name, rows):
    gold, predicted, _ = zip(*rows, strict=True)
    percent = close(100 * sum(g == p for g, p, _ in rows) / len(rows))
    for protocol in ("paper", "superglue"):
        scores = get_task(name, protocol=protocol).score(examples_of(name, gold), predicted)
        assert scores == {"accuracy": percent, "score": percent}


@given(judged(3))
def test_cb_score(rows):
    gold, predicted, _ = zip(*rows, strict=True)
    scores = get_task("cb").score(examples_of("cb", gold), predicted)
    accuracy, f1 = sum(g == p for g, p, _ in rows) / len(rows), plain_macro_f1(rows, 3)
    expected = {"accuracy": 100 * accuracy, "macro_f1": 100 * f1, "score": 50 * (accuracy + f1)}
    assert scores == pytest.approx(expected)
    assert scores == get_task("cb", protocol="superglue").score(examples_of("cb", gold), predicted)


@settings(max_examples=40)
@given(judged(2))
def test_multirc_headlines_differ(rows):
    gold, predicted, questions = zip(*rows, strict=True)
    exact = sum(all(g == p for g, p, _ in answers) for answers in questions_of(rows)) / len(questions_of(rows))
    accuracy = sum(g == p for g, p, _ in rows) / len(rows)
    f1_a = plain_f1(flipped(rows), 1) or 0.0
    task, examples = get_task("multirc"), examples_of("multirc", gold, questions)
    paper, superglue = (
        get_task("multirc", protocol=protocol).score(examples, predicted) for protocol in ("paper", "superglue")
    )
    assert paper["score"] == pytest.approx(50 * (exact + accuracy))
    assert superglue["score"] == pytest.approx(50 * (exact + f1_a))
    assert set(paper) == {*task.metrics, "score"}
    assert all(paper[name] == superglue[name] for name in task.metrics)


def test_record_score():
    task, example = get_task("record"), get_task("record").parse(GOLDEN["record"].hub[0])[0]
    scores = task.score([example] * 4, ["bob", "Ann", "Ulm", None])
    assert scores == pytest.approx({"exact_match": 25, "f1": 25 * (1 + 2 / 3), "score": 12.5 * (2 + 2 / 3)})
    assert scores == get_task("record", protocol="superglue").score([example] * 4, ["bob", "Ann", "Ulm", None])


def test_wsc_score():
    task, superglue = get_task("wsc"), get_task("wsc", protocol="superglue")
    examples = examples_of("wsc", [1, 0, 1, 1, 0, 0])
    texts = ["The cup", "Ann", "cup of tea", "", "", "cup"]
    paper = task.score(examples, texts)  # negatives are passed over
    assert paper == pytest.approx({"exact_match": 100 / 3, "score": 100 / 3})
    same = [superglue.interpret(text, example) for text, example in zip(texts, examples, strict=True)]
    assert same == [1, 0, 1, None, None, 1]
    assert superglue.score(examples, same) == {"accuracy": 50.0, "score": 50.0}
    with pytest.raises(ValueError, match="wsc: there is nothing to score"):
        task.score(examples[1:2], ["Ann"])


@pytest.mark.parametrize("name", TASKS)
def test_none_scores_nothing_and_gold_scores_all(name):
    examples = get_task(name).parse(GOLDEN[name].official)
    for protocol in ("paper", "superglue"):
        task = get_task(name, protocol=protocol)
        texts = [(task.targets(example) or ["?"])[0] for example in examples]
        right = [task.interpret(text, example) for text, example in zip(texts, examples, strict=True)]
        worst = task.score(examples, [None] * len(examples))
        assert set(worst.values()) == {0.0}
        assert set(worst) <= {*task.metrics, "score"}
        if name != "record":  # whose joined targets equal no single answer under `paper`
            assert set(task.score(examples, right).values()) == {100.0}
        with pytest.raises(ValueError, match=f"{name}: there is nothing to score"):
            task.score([], [])
        with pytest.raises(ValueError):
            task.score(examples, [None] * (len(examples) + 1))


# The same metrics through the evaluate library


@pytest.fixture(scope="module")
def load(tmp_path_factory):
    """`evaluate.load` of our module, offline, with every cache in a temporary folder."""
    evaluate = pytest.importorskip("evaluate")
    cache = tmp_path_factory.mktemp("evaluate")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluate.config, "HF_EVALUATE_OFFLINE", True)
        patch.setattr(evaluate.config, "HF_MODULES_CACHE", str(cache / "modules"))
        yield lambda task: evaluate.load(str(SUPER_GLUE), task, cache_dir=str(cache))


@pytest.mark.parametrize("name", ["boolq", "copa", "rte", "wic", "wsc", "wsc.fixed", "cb", "axg"])
def test_evaluate_labels(load, name):
    scores = load(name).compute(predictions=[0, 1, 1, 0], references=[0, 1, 0, 0])
    f1 = {"f1": close((4 / 5 + 2 / 3) / 2)} if name == "cb" else {}
    assert scores == {"accuracy": 0.75} | f1


def test_evaluate_axb(load):
    """The hub's value: (2 * 1 - 0 * 1) / sqrt(2 * 3 * 2 * 1), of 2 right positives, 1 right negative, 1 wrong one."""
    scores = load("axb").compute(predictions=[0, 1, 1, 0], references=[0, 1, 1, 1])
    assert scores == {"matthews_correlation": close(2 / 12**0.5)}


def test_evaluate_multirc(load):
    idx = [{"paragraph": 0, "question": q, "answer": a} for q, a in [(0, 0), (0, 1), (1, 2), (1, 3), (1, 4)]]
    gold, predicted = [1, 0, 1, 1, 0], [1, 0, 1, 0, 0]
    predictions = [{"idx": i, "prediction": p} for i, p in zip(idx, predicted, strict=True)]
    scores = load("multirc").compute(predictions=predictions, references=gold)
    assert scores == {"exact_match": 0.5, "f1_m": close((1 + 2 / 3) / 2), "f1_a": close(4 / 5)}


def test_evaluate_record(load):
    idx = [{"passage": 0, "query": q} for q in range(2)]
    predictions = [{"idx": i, "prediction_text": "red cup"} for i in idx]
    references = [{"idx": i, "answers": a} for i, a in zip(idx, [["Ulm", "cup"], ["a red cup", "x"]], strict=True)]
    scores = load("record").compute(predictions=predictions, references=references)
    assert scores == {"exact_match": 0.5, "f1": close((2 / 3 + 1) / 2)}


OURS = {"macro_f1": "f1"}  # what the hub's metric calls it, where it does not call it as we do


@pytest.mark.parametrize("name", TASKS)
def test_evaluate_gives_what_records_hold(load, name):
    """On random predictions for the miniature's validation rows, some of which are no label."""
    task, draw = get_task(name, protocol="superglue"), random.Random(name)
    examples = [example for row in miniature.rows(name, "val")[:50] for example in task.parse(row)]
    if name == "record":
        predictions = [draw.choice([*example.fields["entities"], "the red cup", None]) for example in examples]
        passed = [{"idx": e.idx, "prediction_text": p or ""} for e, p in zip(examples, predictions, strict=True)]
        gold = [{"idx": example.idx, "answers": example.answers} for example in examples]
    else:
        predictions = [draw.choice([*range(len(task.labels)), example.label, None]) for example in examples]
        passed = [-1 if p is None else p for p in predictions]
        if name == "multirc":
            passed = [{"idx": e.idx, "prediction": p} for e, p in zip(examples, passed, strict=True)]
        gold = [example.label for example in examples]
    expected = task.score(examples, predictions)
    scores = load(name).compute(predictions=passed, references=gold)
    named = {OURS.get(metric, metric): value for metric, value in expected.items()}
    assert {metric: 100 * value for metric, value in scores.items()} == pytest.approx(
        {metric: named[metric] for metric in scores}
    )
    assert set(scores) == set(named) - {"score", "micro_f1"} - ({"accuracy"} if name == "multirc" else set())


def test_evaluate_refuses_an_unknown_task(load):
    with pytest.raises(ValueError, match="'sst2' is unknown; there are multirc, record, boolq"):
        load("sst2")
