"""Submissions: the validator accepts our files, and refuses what the server would refuse."""

import json
from dataclasses import replace

import pytest

from rpt.data import miniature
from rpt.tasks import TASKS, get_task
from rpt.tasks.submission import TEST_ROWS, SubmissionError, check_test_rows, file_name, lines
from tests.tasks.server import validate


def examples_of(name, n=40):
    task = get_task(name)
    return task, [example for row in miniature.rows(name, "val", 0)[:n] for example in task.parse(row)]


def predictions_of(task, examples):
    """Right predictions, some that are no label, and one open answer with several entities."""
    if task.name == "record":
        return ["; ".join(example.answers) if i % 3 else "" for i, example in enumerate(examples)]
    return [example.label if i % 5 else None for i, example in enumerate(examples)]


@pytest.mark.parametrize("name", TASKS)
def test_what_is_written_is_accepted(name):
    task, examples = examples_of(name)
    written = lines(task, examples, predictions_of(task, examples))
    validate(task, written, examples)
    validate(task, list(reversed(written)), examples)
    assert file_name(task) == f"{task.folder}.jsonl"


def test_the_server_s_words():
    """As in the benchmark's own files."""
    first = {
        "boolq": {"label": "true"}, "cb": {"label": "neutral"}, "copa": {"label": 1},
        "rte": {"label": "not_entailment"}, "wic": {"label": "true"}, "wsc": {"label": "True"},
    }  # fmt: skip
    for name, label in first.items():
        task, examples = examples_of(name, 1)
        (line,) = lines(task, examples, [len(task.labels) - 1])
        assert json.loads(line) == {"idx": examples[0].idx} | label
    task, examples = examples_of("record", 1)
    (line, *_) = lines(task, examples, [f"{examples[0].answers[0]}; something else"] * len(examples))
    assert json.loads(line) == {"idx": examples[0].idx["query"], "label": examples[0].answers[0]}
    whole = replace(examples[0], fields={**examples[0].fields, "entities": ("Smith; Sons", "Smith")})
    assert json.loads(*lines(task, [whole], ["Smith; Sons"]))["label"] == "Smith; Sons"  # an entity, and no list
    task, examples = examples_of("multirc", 2)
    written = [json.loads(line) for line in lines(task, examples, [1] * len(examples))]
    assert len({line["idx"] for line in written}) == len(written)
    answers = [a for line in written for question in line["passage"]["questions"] for a in question["answers"]]
    assert len(answers) == len(examples) and {answer["label"] for answer in answers} == {1}


def test_a_referent_is_compared_with_the_noun():
    task, examples = examples_of("wsc", 2)
    noun = examples[0].fields["span1_text"]
    texts = [noun, "something quite different"]
    assert [json.loads(line)["label"] for line in lines(task, examples, texts)] == ["True", "False"]


@pytest.mark.parametrize("name", TASKS)
def test_mistakes_are_named(name):
    task, examples = examples_of(name)
    written = lines(task, examples, predictions_of(task, examples))

    def refused(changed, message):
        with pytest.raises(SubmissionError, match=message):
            validate(task, changed, examples)

    refused(written[1:], rf"{file_name(task)} lacks example .* predict every test row")
    refused([*written, written[0]], rf"line {len(written) + 1}: example .* is answered twice")
    refused([written[0].replace('"idx": ', '"idx": 9', 1), *written[1:]], "line 1: there is no example")
    refused(["{", *written[1:]], "line 1 is not of the form")
    refused(['{"label": 1}', *written[1:]], "line 1 is not of the form")
    first = json.loads(written[0])
    wrong = [5, None] if name == "record" else ["maybe", 7, True]
    for label in wrong:
        if name == "multirc":
            first["passage"]["questions"][0]["answers"][0]["label"] = label
        else:
            first["label"] = label
        refused([json.dumps(first), *written[1:]], "line 1: label .* should be")


def test_an_rte_prompt_answers_the_diagnostic_sets_in_files_of_their_own():
    task = get_task("rte")
    broad = {"idx": "7", "label": "not_entailment", "sentence1": "A cat sat.", "sentence2": "No cat sat.", "logic": "x"}
    gender = {"idx": 7, "pair_id": 551646, "premise": "She met him.", "hypothesis": "He met her."}
    (example,) = task.parse(broad)
    assert dict(example.fields) == {"premise": "A cat sat.", "hypothesis": "No cat sat."} and example.label == 1
    for row, name in ((broad, "AX-b.jsonl"), (gender, "AX-g.jsonl"), ({**gender, "pair_id": None}, "AX-g.jsonl")):
        examples = task.parse(row)
        written = lines(task, examples, [1])
        assert file_name(task, [row]) == name and json.loads(written[0]) == {"idx": 7, "label": "not_entailment"}
        with pytest.raises(SubmissionError, match=f"{name} lacks example 7"):
            validate(task, [], examples, name)
    with pytest.raises(SubmissionError, match="The rows are of AX-b and AX-g; give those of one file"):
        file_name(task, [broad, gender])
    assert file_name(get_task("cb"), [gender]) == "CB.jsonl"
    for wrong in ({"idx": "-1"}, {"idx": "1e3"}, {"idx": "9" * 40}, {"sentence2": None}):
        with pytest.raises(ValueError, match="rte: field '(idx|hypothesis)' should be"):
            task.parse(broad | wrong)
    del broad["sentence2"]
    with pytest.raises(ValueError, match="rte: field 'hypothesis' is missing"):
        task.parse(broad)


def checked(task, rows):
    """The message if the rows are refused."""
    task = get_task(task)
    examples = [example for row in rows for example in task.parse(row)]
    try:
        check_test_rows(task, rows, examples, file_name(task, rows))
    except SubmissionError as error:
        assert "\n" not in str(error)
        return str(error)
    return None


OFFICIAL = [(name.lower(), f"{name}/test") for name in ("BoolQ", "CB", "COPA", "MultiRC", "RTE", "WiC", "WSC")]
OFFICIAL += [("rte", "AX-b/AX-b"), ("rte", "AX-g/AX-g")]


@pytest.mark.parametrize(("task", "name"), OFFICIAL)
def test_the_official_test_rows_are_taken_and_others_refused(shared, task, name):
    path = shared / "superglue_test" / f"{name}.jsonl"
    if not path.exists():
        pytest.skip("there are no official test rows")
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert checked(task, rows) is None
    assert "test examples, and these are" in checked(task, rows[:-1])
    if name == "RTE/test":
        assert "CB has 250 test examples" in checked("cb", rows)


ROW = {"premise": "a", "hypothesis": "b"}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, None),
        ({"label": -1}, None),  # as on the hub
        ({"label": "neutral"}, "CB has 250 test examples, without labels, and these have some; give the official test"),
        ({"pair_id": 7}, "CB has 250 test examples, without a field 'pair_id': that is of AX-g; give a run of RTE"),
        ({"idx": 250}, "CB has 250 test examples, with idx 0 to 249, and these have 1 to 250; give the official test"),
        ({"idx": 9}, "CB.jsonl, line 10: example 9 is answered twice"),
    ],
)
def test_what_is_not_the_test_split_is_refused(changed, said):
    rows = [{"idx": i, **ROW} for i in range(250)]
    rows[0] |= changed
    assert said in checked("cb", rows) if said else checked("cb", rows) is None
    assert "CB has 250 test examples, and these are 3,000" in checked("cb", [{"idx": i, **ROW} for i in range(3000)])


def test_every_task_has_its_number_of_test_rows():
    assert set(TASKS) | {"AX-b", "AX-g"} == set(TEST_ROWS)
    query = {"passage": "Ann is in Ulm.", "query": "@placeholder", "entities": ["Ann"]}
    rows = [query | {"idx": {"passage": i // 2, "query": i}} for i in range(10000)]
    assert checked("record", rows) is None
    assert "ReCoRD has 10,000 test examples, and these are 9,999" in checked("record", rows[1:])
