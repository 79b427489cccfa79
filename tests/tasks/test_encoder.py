"""The tasks for encoders: golden readings, marks, real rows, and scores of predictions."""

import re

import pytest

from rpt.tasks import PROTOCOLS, TASKS, Decision, Reading, get_task
from rpt.tasks.examples import starred
from tests.tasks.rows import GOLDEN
from tests.tasks.test_real_rows import rows_of

ENCODED = {  # of the last example of each golden row
    "boolq": [Decision((Reading(("Ulm -- Ulm is a city.", "is ulm a city")),), 1)],
    "cb": [Decision((Reading(("I doubt it rains.", "it rains")),), 2)],
    "copa": [
        Decision(
            (Reading(("The cup broke.", "because It fell.")), Reading(("The cup broke.", "because It rained."))), 0
        )
    ],
    "multirc": [Decision((Reading(("Sent 1: Ann has a cat.Sent 2: It is old.", "Who has a cat? Ann")),), 1)],
    "record": [
        Decision((Reading(("Ann Lee met Bob in Ulm. Bob likes Ulm. Lee left", f"{entity} is glad")),), label)
        for entity, label in [("Ann Lee", 1), ("Bob", 1), ("Ulm", 0)]
    ],
    "rte": [Decision((Reading(("Ann ran.", "Ann sat.")),), 1)],
}
BY_TASK = pytest.mark.parametrize("name", TASKS)


def example_of(name, **changes):
    return get_task(name, "bert").parse(GOLDEN[name].hub[-1] | changes)[0]


def marked(reading):
    return [reading.texts[which][start:end] for which, start, end in reading.marks]


@pytest.mark.parametrize("name", ENCODED)
def test_golden_readings(name):
    task = get_task(name, "bert")
    expected = ENCODED[name]
    if name == "multirc":  # as its source under protocol=superglue
        text = get_task(name, "bert", "superglue").source(example_of(name)).split("paragraph: ")[1]
        expected = [Decision((Reading((text, "Who has a cat? Ann")),), 1)]
    assert task.decisions(example_of(name)) == expected


def test_wic_marks_the_word_in_both_sentences():
    (decision,) = get_task("wic").decisions(example_of("wic"))
    (reading,) = decision.readings
    assert reading.texts == ("A *bank* lends.", "The river *bank*.") and marked(reading) == ["bank", "bank"]


def test_wsc_marks_noun_and_pronoun():
    example = example_of("wsc")
    (decision,) = get_task("wsc", "bert").decisions(example)
    assert marked(decision.readings[0]) == [example.fields["span1_text"], example.fields["span2_text"]]
    assert decision.label == example.label


@pytest.mark.parametrize(
    ("spans", "text"),
    [
        ([(0, 0, 5), (0, 6, 13)], "*their* *mothers* ran"),
        ([(0, 6, 13), (0, 0, 5)], "*their* *mothers* ran"),
        ([(0, 0, 13), (0, 0, 5)], "**their* mothers* ran"),  # one within the other: WSC's val row 95
        ([(0, 0, 13), (0, 6, 13)], "*their *mothers** ran"),
    ],
)
def test_stars(spans, text):
    reading = starred(["their mothers ran"], spans)
    assert reading.texts == (text,)
    assert [word.replace("*", "") for word in marked(reading)] == ["their mothers ran"[a:b] for _, a, b in spans]


@BY_TASK
def test_every_label_can_be_predicted_and_scores_in_full(name):
    """Under both protocols, on rows of every label."""
    task = get_task(name, "bert")
    examples = [example_of(name, label=label) for label in range(len(task.labels))] or [example_of(name)]
    predictions = []
    for example in examples:
        decisions = task.decisions(example)
        width = task.head_outputs * len(decisions[0].readings)
        logits = [[float(i == decision.label) for i in range(width)] for decision in decisions]
        assert all(max(of_one) == 1.0 for of_one in logits)  # every label is one of the outputs
        predictions.append(task.decide(example, logits))
    for protocol in PROTOCOLS:
        task = get_task(name, "bert", protocol)
        assert all(task.evaluated(example) and task.targets(example) for example in examples)
        assert task.score(examples, predictions)["score"] == 100
        assert [task.credit(e, p) for e, p in zip(examples, predictions, strict=True)] == [1] * len(examples)


def test_record_answers_with_the_likeliest_entity():
    task, example = get_task("record"), example_of("record")
    assert task.decide(example, [[0.0, 1.0], [-3.0, -1.0], [5.0, 5.5]]) == "Bob"


def test_record_judges_entities_as_the_scorer_does():
    """An answer equals its entity in any letter case, and with an article."""
    example = example_of("record", answers=["bob", "the ULM"])
    assert [decision.label for decision in get_task("record").decisions(example)] == [0, 1, 1]


def test_wsc_without_its_noun_is_refused_when_the_row_is_read():
    with pytest.raises(ValueError, match="wsc: field 'span1_text' is not in the text"):
        example_of("wsc", span1_text="nobody")


@BY_TASK
def test_real_rows(shared, name):
    task = get_task(name, "bert")
    examples = [example for row in rows_of(shared, "fewglue", name, "train") for example in task.parse(row)]
    for example in examples:
        decisions = task.decisions(example)
        assert len(decisions) == (len(example.fields["entities"]) if name == "record" else 1)
        for reading in (reading for decision in decisions for reading in decision.readings):
            assert all(text == text.strip() and text for text in reading.texts)
            assert "@placeholder" not in reading.texts[-1] and "<br>" not in reading.texts[0]
            assert len(reading.marks) == task.encoder_marks
            assert len(reading.texts) == (2 if task.encoder_pairs else 1)
            for which, start, end in reading.marks:
                assert reading.texts[which][start - 1] == reading.texts[which][end] == "*"
        assert any(decision.label for decision in decisions) or name != "record"


@pytest.mark.parametrize("split", ["train", "val"])
def test_every_real_wsc_row_has_its_marks(shared, split):
    task = get_task("wsc", "bert")
    for row in rows_of(shared, "superglue", "wsc", split):
        (example,) = task.parse(row)
        (reading,) = task.decisions(example)[0].readings
        for word, field in zip(marked(reading), ("span1_text", "span2_text"), strict=True):
            letters = [re.findall(r"\w+", text.lower()) for text in (word, row["target"][field])]
            assert letters[0] == letters[1]
