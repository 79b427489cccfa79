"""Impossible rows are refused with their place, odd rows are counted, and all real rows pass."""

import copy
import json
import logging
import random
import string
from collections import Counter

import datasets
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rpt.config import DataConfig, TaskConfig
from rpt.data import miniature
from rpt.data.csv_rows import read_csv_rows
from rpt.data.json_lines import read_json_lines
from rpt.data.rows import parse_rows, warn_once
from rpt.data.sources import read_examples
from rpt.errors import UsageError
from rpt.tasks import PROTOCOLS, TASKS, get_task
from rpt.tasks.custom import make_task
from tests.tasks.rows import GOLDEN


@pytest.fixture(autouse=True)
def nothing_said_before():
    warn_once.cache_clear()


def row_of(name, **changes):
    return copy.deepcopy(GOLDEN[name].official) | changes


def parsed(name, *rows, labelled=True):
    content = "\n".join(map(json.dumps, rows)).encode()
    return parse_rows(get_task(name), "f.jsonl", read_json_lines(content, "f.jsonl"), labelled)


def nested(name, *path, value):
    """The golden row with the value at that path."""
    row = row_of(name)
    inner = row
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return row


QUESTION = ("passage", "questions", 0)
SPAN = ("passage", "entities", 1)
IMPOSSIBLE = [
    ("boolq", row_of("boolq", idx=-1), "field 'idx' should be from 0 to 2147483647, found -1"),
    ("boolq", row_of("boolq", idx=10**15), "field 'idx' should be from 0 to 2147483647, found 1000000000000000"),
    ("multirc", nested("multirc", *QUESTION, "idx", value=-3), "field 'idx' should be from 0"),
    ("multirc", nested("multirc", *QUESTION, "answers", 0, "idx", value=2**40), "field 'idx' should be from 0"),
    ("multirc", row_of("multirc", idx=2**40), "field 'idx' should be from 0"),
    ("record", nested("record", "qas", 0, "idx", value=-3), "field 'idx' should be from 0"),
    ("boolq", row_of("boolq", passage=""), "field 'passage' is empty"),
    ("boolq", row_of("boolq", question=" \n"), "field 'question' is empty"),
    ("multirc", nested("multirc", *QUESTION, "question", value=""), "field 'question' is empty"),
    ("multirc", nested("multirc", "passage", "text", value=" "), "field 'paragraph' is empty"),
    ("record", nested("record", "qas", 0, "answers", 0, "text", value=""), "field 'answers' is empty"),
    ("wsc", nested("wsc", "target", "span1_text", value=""), "field 'span1_text' is empty"),
    ("rte", row_of("rte", premise="a \ud83d b"), r"field 'premise' has a lone surrogate, found '\\ud83d'"),
    ("multirc", nested("multirc", *QUESTION, "answers", 1, "text", value="\udc00"), "'answer' has a lone surrogate"),
    ("record", nested("record", "passage", "text", value="Ann Lee met Bob in Ulm. \ud800" * 3), "has a lone surrogate"),
    ("copa", row_of("copa", question="Cause"), "field 'question' should be cause or effect, found 'Cause'"),
    ("copa", row_of("copa", question="why"), "field 'question' should be cause or effect, found 'why'"),
    ("wic", row_of("wic", start1=6, end1=2), "should be a span of field 'sentence1', found 6 and 2"),
    ("wic", row_of("wic", start2=10, end2=10), "should be a span of field 'sentence2', found 10 and 10"),
    ("wic", row_of("wic", end2=16), "should be a span of field 'sentence2', found 10 and 16"),
    ("wic", row_of("wic", start1=-1), "field 'start1' should be from 0"),
    ("wic", row_of("wic", sentence1=" bank lends", start1=0), "should be a span of field 'sentence1', found 0 and 6"),
    ("wic", row_of("wic", word="money"), "field 'sentence1' has the word 'money' in no form, found 'A bank lends.'"),
    ("record", nested("record", *SPAN, value={"start": 12, "end": 11}), "spans within the 68 characters .* 12 to 11"),
    ("record", nested("record", *SPAN, value={"start": 65, "end": 70}), "spans within the 68 characters .* 65 to 70"),
    ("record", nested("record", *SPAN, value={"start": -2, "end": 4}), "field 'start' should be from 0"),
    ("record", nested("record", "qas", 0, "query", value="who is glad"), "field 'query' has no @placeholder, found"),
    ("record", nested("record", "passage", "entities", value=[]), "field 'entities' is empty"),
    ("wsc", nested("wsc", "target", "span2_index", value=10), "'span2_index' should be one of the text's 10 words"),
    ("wsc", nested("wsc", "target", "span1_index", value=-1), "field 'span1_index' should be from 0"),
    ("wsc", nested("wsc", "target", value=None), "field 'target' should be dict, found NoneType"),
    ("multirc", nested("multirc", "passage", value=None), "field 'passage' should be dict, found NoneType"),
    ("record", nested("record", "passage", value=[]), "field 'passage' should be dict, found list"),
    ("record", nested("record", "qas", value=[None]), "field 'query' is missing, found only None"),
    ("boolq", row_of("boolq", label=None), "field 'label' is needed in a validation row, found none"),
    ("wsc", row_of("wsc", label=-1), "field 'label' is needed in a validation row, found none"),
    ("multirc", nested("multirc", *QUESTION, "answers", 1, "label", value=None), "field 'label' is needed"),
    ("record", nested("record", "qas", 0, "answers", value=[]), "field 'answers' is needed in a validation row"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "row", "message"), IMPOSSIBLE, ids=range(len(IMPOSSIBLE)))
def test_what_cannot_be_right_is_refused(name, row, message):
    with pytest.raises(UsageError, match=rf"f.jsonl, line 2: {name}: .*{message}") as caught:
        parsed(name, row_of(name, idx=77), row)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["multirc", "record"])
def test_what_an_idx_holds_beside_its_numbers_is_passed_over(name):
    (whole,) = (example.idx for example in get_task(name).parse(GOLDEN[name].hub[0]))
    odd = GOLDEN[name].hub[0] | {"idx": {"\ud800": [1], **whole, 7: None}}
    (read,) = parse_rows(get_task(name), "f.jsonl", [("line 1", odd)])
    assert read.idx == whole


def test_a_csv_file_may_hold_rows_of_our_tasks():
    row = {**GOLDEN["wic"].hub[0], "label": 1}
    header, values = (",".join(f'"{each}"' for each in part) for part in (row, row.values()))
    rows = read_csv_rows(f"{header}\n{values}\n".encode(), "f.csv")
    assert parse_rows(get_task("wic"), "f.csv", rows) == get_task("wic").parse(row)


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("row", [None, "text", 7, [1], True])
def test_a_row_that_is_no_object_is_refused_whatever_it_comes_from(name, row):
    with pytest.raises(UsageError, match=f"hub, row 1: {name}: a row should be an object with named fields, found"):
        parse_rows(get_task(name), "hub", [("row 1", row)])


@pytest.mark.parametrize("name", TASKS)
def test_the_same_idx_in_every_row_is_refused(name):
    rows = [row_of(name, idx=5), row_of(name, idx=5), row_of(name, idx=5)]
    if name == "multirc":
        for row in rows:
            del row["passage"]["questions"][0]["answers"][1:]
    with pytest.raises(UsageError, match=r"f.jsonl: every row has the idx .*; number the rows"):
        parsed(name, *rows)


@pytest.mark.parametrize(
    ("name", "path", "message"),
    [
        ("multirc", (*QUESTION, "question"), r"multirc: another question has the idx \(4, 9\)"),
        ("record", ("qas", 0, "query"), r"record: another query has the idx \(5, 6\)"),
    ],
)
def test_questions_that_share_an_idx_are_refused(name, path, message):
    with pytest.raises(UsageError, match=f"f.jsonl, line 2: {message}"):
        parsed(name, row_of(name), nested(name, *path, value="@placeholder and who else?"), row_of(name, idx=3))


ODD = [
    ("boolq", [row_of("boolq"), row_of("boolq", idx=8)], "1 repeating another one (first: line 2)"),
    ("boolq", [row_of("boolq"), row_of("boolq", idx=8, label=False)], "1 repeating one of another label"),
    ("boolq", [row_of("boolq"), row_of("boolq", idx=8, question="b"), row_of("boolq", question="c")],
     "1 with the idx of another one (first: line 3)"),
    ("boolq", [row_of("boolq", idx=i, label=-1, question=f"q{i}") for i in range(3)], "3 without a label"),
    ("multirc", [nested("multirc", *QUESTION, "answers", 0, "text", value=" ")], "1 with an empty answer"),
    ("wic", [row_of("wic", start2=4, end2=9)], "1 marking another word than its own (first: line 1)"),
    ("record", [nested("record", "qas", 0, "answers", value=[{"text": "Rom"}])],
     "1 with answers that are none of its entities"),
    ("wsc", [nested("wsc", "target", "span1_text", value="a cup")], "1 with a noun that is not in the text"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "rows", "doubt"), ODD, ids=range(len(ODD)))
def test_what_is_odd_is_said_once_with_a_count(caplog, name, rows, doubt):
    with caplog.at_level(logging.WARNING, "rpt"):
        examples = parsed(name, *rows, labelled=False)
        parsed(name, *rows, labelled=False)
    (line,) = [record.message for record in caplog.records]
    assert line.startswith(f"f.jsonl, of {len(examples)} examples: ") and doubt in line and "\n" not in line


@pytest.mark.parametrize("name", TASKS)
def test_golden_and_miniature_rows_raise_no_doubts(caplog, name):
    parsed(name, row_of(name))
    read_examples(DataConfig("mini"), get_task(name))
    assert not caplog.records


# Real rows

OFFICIAL = {  # examples of train and val; the majority class's accuracy on val; what is odd about them
    "boolq": (9427, 3270, 62.17, []),
    "cb": (250, 56, 50.0, []),
    "copa": (400, 100, 55.0, []),
    "multirc": (27243, 4848, 57.20, [
        "6 repeating another one (first: line 2); 3 with an empty answer (first: line 38); "
        "1 repeating one of another label (first: line 183)",
        "1 repeating another one (first: line 4)",
    ]),
    "rte": (2490, 277, 52.71, ["2 repeating another one (first: line 527)"]),
    "wic": (5428, 638, 50.0, ["1 marking another word than its own (first: line 1869)"]),
    "wsc": (554, 104, 63.46, ["2 repeating another one (first: line 217)", "3 repeating another one (first: line 46)"]),
}  # fmt: skip


@pytest.mark.parametrize("name", OFFICIAL)
def test_official_rows(shared, caplog, name):
    n_train, n_val, majority, doubts = OFFICIAL[name]
    examples = read_examples(DataConfig("folder", dir=str(shared / "superglue")), get_task(name))
    assert (len(examples["train"]), len(examples["val"])) == (n_train, n_val)
    assert [record.message.split(" examples: ")[1] for record in caplog.records] == doubts
    labels = Counter(example.label for example in examples["val"])
    ((most, _),) = labels.most_common(1)
    accuracy = get_task(name, "bert", "superglue").score(examples["val"], [most] * n_val)["accuracy"]
    assert accuracy == pytest.approx(majority, abs=0.005)


@pytest.mark.parametrize("name", TASKS)
def test_other_real_rows(shared, name):
    folder = TASKS[name].folder
    for path in (shared / "fewglue" / folder / "train.jsonl", shared / "superglue_test" / folder / "test.jsonl"):
        if path.is_file():
            parse_rows(get_task(name), str(path), read_json_lines(path.read_bytes(), str(path)))
            task = get_task(name, "bert")
            examples = parse_rows(task, str(path), read_json_lines(path.read_bytes(), str(path)))
            assert all(task.decisions(example) for example in examples)


# All kinds of damage

WRONG = [None, True, -1, 2**70, 0.5, "", " ", "\ud800", "</s>", [], {}, [None], [[[]]], {"text": None}, "x" * 5000]


def places_of(value, path=()):
    """The paths of all values in a row."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*path, key)
        yield from places_of(inner, (*path, key))


def damaged(row, draw):
    row = copy.deepcopy(row)
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(sorted(places_of(row), key=str) or [()]))
        if not path:
            break
        inner = row
        for key in path[:-1]:
            inner = inner[key]
        kind = draw(st.sampled_from(["value", "remove", "number", "letters"]))
        if kind == "remove":
            del inner[path[-1]]
        elif kind == "number" and isinstance(inner[path[-1]], int):
            inner[path[-1]] += draw(st.integers(-100, 100))
        elif kind == "letters" and isinstance(inner[path[-1]], str):
            text = inner[path[-1]]
            at = draw(st.integers(0, len(text)))
            inner[path[-1]] = text[:at] + draw(st.text(string.printable + "\u2028é\udfff", max_size=5)) + text[at + 1 :]
        else:
            inner[path[-1]] = copy.deepcopy(draw(st.sampled_from(WRONG)))
    return row


@pytest.mark.parametrize("name", TASKS)
@settings(max_examples=150, derandomize=True)
@given(data=st.data())
def test_damaged_rows_are_refused_or_whole(name, data):
    """Any damage gives a one-line UsageError or nothing; rows that pass can be written, cut and scored."""
    rows = [miniature.row(name, random.Random(data.draw(st.integers(0, 50)))), row_of(name)]
    row = damaged(data.draw(st.sampled_from(rows)), data.draw)
    content = json.dumps(row).encode()
    if data.draw(st.integers(0, 3)) == 0:
        at = data.draw(st.integers(0, len(content) - 1))
        content = content[:at] + bytes([data.draw(st.integers(0, 255))]) + content[at + 1 :]
    try:
        examples = parse_rows(get_task(name), "f", read_json_lines(content, "f"), labelled=True)
    except UsageError as error:
        assert str(error).startswith("f") and "\n" not in str(error)
        return
    task = get_task(name, "bert")
    for example in examples:
        assert example.label is not None or example.answers
        for protocol in PROTOCOLS:
            get_task(name, protocol=protocol).source(example).encode()
            get_task(name, protocol=protocol).targets(example)
        if name != "wsc":  # an encoder's WSC has a parser of its own
            assert all(reading.texts for decision in task.decisions(example) for reading in decision.readings)


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        (["contradiction", "entailment", "neutral"], [1, 0, 2]),
        (["Neutral", "Contradiction", "Entailment"], [2, 1, 0]),
        (["entailment", "contradiction", "neutral"], [0, 1, 2]),
        (["0", "1", "2"], [0, 1, 2]),
        (["2", "0", "1"], [2, 0, 1]),
        (None, [0, 1, 2]),
    ],
)
def test_numbered_labels_of_a_data_set_go_by_their_names(tmp_path, monkeypatch, names, labels):
    """A copy of CB whose label names have another order than the hub's."""
    read = read_parquet(tmp_path, monkeypatch, names, [0, 1, 2, -1])
    assert [one.label for one in read["train"]] == [*labels, None] and [one.label for one in read["val"]] == labels


@pytest.mark.parametrize("inside", ["", "cb"])
def test_rows_come_from_a_folder_of_save_to_disk(tmp_path, inside):
    """One data set, or one for each task; labels by name work there too."""
    names = datasets.ClassLabel(names=["contradiction", "entailment", "neutral"])
    text = datasets.Value("string")
    features = datasets.Features(premise=text, hypothesis=text, idx=datasets.Value("int32"), label=names)
    columns = {"premise": ["a", "b"], "hypothesis": ["c", "d"], "idx": [0, 1], "label": [0, 1]}
    table = datasets.Dataset.from_dict(columns, features=features)
    datasets.DatasetDict(train=table, validation=table.select([1])).save_to_disk(tmp_path / "saved" / inside)
    actual = read_examples(DataConfig(name="hub", repo=str(tmp_path / "saved")), get_task("cb"))
    assert [one.label for one in actual["train"]] == [1, 0] and [one.label for one in actual["val"]] == [0]
    with pytest.raises(UsageError, match=r"saved \(cb\) .* it has no split test; it has train, validation"):
        read_examples(DataConfig(name="hub", repo=str(tmp_path / "saved")), meals(), TaskConfig(hub_split="test"))
    table.save_to_disk(tmp_path / "one")
    with pytest.raises(UsageError, match="it is one split as save_to_disk writes it; save a DatasetDict"):
        read_examples(DataConfig(name="hub", repo=str(tmp_path / "one")), get_task("cb"))


def meals():
    return make_task("meals", ("premise",), ("contradiction", "entailment", "neutral"), hub_config="cb")


def test_numbered_labels_of_unknown_names_are_refused(tmp_path, monkeypatch):
    with pytest.raises(UsageError, match=r"row 1: cb: field 'label' should be one of entailment, .*, found str 'no'"):
        read_parquet(tmp_path, monkeypatch, ["no", "yes", "maybe"], [0, 1, 2])


def read_parquet(folder, monkeypatch, names, labels):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", folder / "cache")
    text, number = datasets.Value("string"), datasets.Value("int32")
    kinds = {"premise": text, "hypothesis": text, "idx": number, "label": number}
    if names:
        kinds["label"] = datasets.ClassLabel(names=names)
    count = range(len(labels))
    columns = {"premise": [f"p{i}" for i in count], "hypothesis": [f"h{i}" for i in count], "idx": list(count)}
    table = datasets.Dataset.from_dict(columns | {"label": labels}, features=datasets.Features(kinds))
    (folder / "cb/cb").mkdir(parents=True)
    table.to_parquet(folder / "cb/cb/train.parquet")
    table.filter(lambda row: row["label"] >= 0).to_parquet(folder / "cb/cb/validation.parquet")
    config = "---\nconfigs:\n- config_name: cb\n  data_files:\n  - {split: train, path: cb/train.parquet}\n"
    (folder / "cb/README.md").write_text(config + "  - {split: validation, path: cb/validation.parquet}\n---\n")
    return read_examples(DataConfig(name="hub", repo=str(folder / "cb")), get_task("cb"))
