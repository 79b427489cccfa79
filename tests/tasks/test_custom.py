"""A task that a configuration declares: rows in, text out, predictions scored."""

import dataclasses

import datasets
import pytest

from rpt.config import DataConfig, ProtocolConfig, TaskConfig, as_dict, run_id
from rpt.data import task_for
from rpt.data.csv_rows import read_csv_rows
from rpt.data.sources import read_examples
from rpt.data.splits import split_examples
from rpt.errors import UsageError
from rpt.tasks import PROTOCOLS
from rpt.tasks.custom import make_task
from rpt.training.sweep.preflight import check

REVIEWS = ["task=custom", "task.name=reviews", "task.fields=[text]", "task.labels=[bad,good]"]


def labelled(**more):
    return make_task("reviews", ("text",), ("bad", "good"), **more)


def example(task, **row):
    (actual,) = task.parse({"idx": 0, **row})
    return actual


@pytest.mark.parametrize("label", ["good", "GOOD ", 1, "1"])
def test_a_label_may_be_its_name_or_its_number(label):
    assert example(labelled(), text="A cake.", label=label).label == 1


def test_a_number_among_the_labels_is_that_label_and_007_is_a_text(tmp_path, monkeypatch):
    task = make_task("stars", ("text",), ("2", "1"))
    assert [example(task, text="A", label=label).label for label in (2, "2", 1, "1", -1)] == [0, 0, 1, 1, None]
    for label in (0, "0"):  # neither of the two, nor the first of them
        with pytest.raises(ValueError, match="should be one of 2, 1, or -1, found"):
            example(task, text="A", label=label)
    with pytest.raises(ValueError, match="should be one of bad, good, or -1, found str '01'"):
        example(labelled(), text="A", label="01")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    agents, config = make_task("agents", ("text",), ("7", "007")), TaskConfig(name="agents", fields=["text"])
    (tmp_path / "rows").mkdir()
    for name in ("train", "validation"):
        (tmp_path / f"rows/{name}.csv").write_text("idx,text,label\n4,NA,007\n5,1.50,7\n")
    files = dataclasses.replace(config, train="train.csv", validation="validation.csv")
    for data, task in (
        (DataConfig("hub", repo=str(tmp_path / "rows")), dataclasses.replace(config, hub_split="validation[:2]")),
        (DataConfig("folder", dir=str(tmp_path / "rows")), files),
    ):
        rows = [(one.fields["text"], one.label, one.idx) for one in read_examples(data, agents, task)["train"]]
        assert rows == [("NA", 1, 4), ("1.50", 0, 5)]


@pytest.mark.parametrize("label", [None, -1, "-1"])
def test_a_row_may_have_no_label(label):
    assert example(labelled(), text="A cake.", label=label).label is None
    assert example(labelled(), text="A cake.").label is None


@pytest.mark.parametrize("row", [{"text": "A", "label": "fair"}, {"text": "", "label": "bad"}, {"label": "bad"}])
def test_what_is_no_row_of_it_is_refused(row):
    with pytest.raises(ValueError, match=r"reviews: field '(label|text)'"):
        example(labelled(), **row)


def test_words_stand_for_labels_and_the_template_for_the_row():
    declared = {"words": ("no", "yes"), "template": "{b}? {a}."}
    task, other = (make_task("pairs", ("a", "b"), ("0", "1"), **declared, protocol=protocol) for protocol in PROTOCOLS)
    one = example(task, a="Snow", b="Is it white", label="1", idx=3)
    assert task.source(one) == other.source(one) == "Is it white? Snow."
    assert task.targets(one) == other.targets(one) == ["yes"]
    assert task.interpret("Yes.", one) == 1 and task.interpret("1", one) is None
    assert task.decisions(one)[0].readings[0].texts == ("Is it white? Snow.",) and not task.encoder_pairs
    plain = make_task("pairs", ("a", "b", "c"), ("0", "1"))
    one = example(plain, a="x", b=2, c="z", label="0", idx=3)
    assert plain.source(one) == "a: x b: 2 c: z"
    assert plain.decisions(one)[0].readings[0].texts == ("x 2", "z") and plain.encoder_pairs


@pytest.mark.parametrize("labels", [("+", "-"), ("A", "B"), ("an", "the")])
def test_words_that_only_punctuation_or_an_article_tells_apart_are_told_apart(labels):
    task = make_task("marks", ("text",), labels)
    one = example(task, text="Snow.", label=labels[1])
    assert one.label == 1 and [task.find_label(f" {label}", one) for label in labels] == [0, 1]
    assert task.find_label("", one) is None and task.find_label("!", one) is None


@pytest.mark.parametrize(("metric", "score"), [(None, 75.0), ("accuracy", 75.0), ("macro_f1", 73.33)])
def test_labels_are_scored_by_the_metric_of_choice(metric, score):
    task = labelled(metric=metric)
    rows = [example(task, text=str(i), label=label, idx=i) for i, label in enumerate(["bad", "bad", "good", "good"])]
    scores = task.score(rows, [0, 1, 1, 1])
    assert scores["score"] == pytest.approx(score, abs=0.01) and set(scores) == {"accuracy", "macro_f1", "score"}


@pytest.mark.parametrize("value", [{"text": ["outside"], "answer_start": [3]}, [None], [["a", "b"]], float("nan")])
def test_what_is_no_text_is_no_answer_nor_a_field(value):
    """SQuAD's answers are an object; a table of pandas has NaN where a value is missing."""
    task = make_task("qa", ("question",), answer="answers")
    assert example(task, question=7, answers=[1.5, True]).answers == ("1.5", "True")
    with pytest.raises(ValueError, match="qa: field 'answers' should be str, found"):
        example(task, question="Where?", answers=value)
    with pytest.raises(ValueError, match="qa: field 'question' should be str, found"):
        example(task, question=value, answers="outside")


def test_open_answers_are_scored_as_texts():
    task = make_task("qa", ("question",), answer="answers", metric="f1")
    one = example(task, question="Where?", answers=["in the garden", "outside"])
    assert task.targets(one) == ["in the garden", "outside"] and task.verbalizers is None
    assert task.score([one], ["The garden"]) == pytest.approx({"exact_match": 0, "f1": 200 / 3, "score": 200 / 3})
    assert task.credit(one, "Outside!") == 1.0


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["task=custom"], r"task=custom needs the columns to read, in order: task\.fields=\[text\]"),
        ([*REVIEWS, "task.labels=[bad]"], r"task\.labels=\['bad'\] must be two or more"),
        ([*REVIEWS, "task.labels=[US,us]"], r"task\.labels=\['US', 'us'\] must be two or more that differ"),
        ([*REVIEWS, "task.words=[yes,yes]"], r"task\.words=\['yes', 'yes'\] must be another word for each label"),
        ([*REVIEWS, "task.template='{text:d}'"], r"task\.template='\{text:d\}' cannot be filled with texts"),
        ([*REVIEWS, "task.fields=[a.b]", "task.template='{a.b}'"], r"task\.template='\{a\.b\}' cannot be filled"),
        ([*REVIEWS, "task.words=[yes]"], r"task\.words=\['yes'\] must be as many as"),
        ([*REVIEWS, "task.metric=f1"], r"task\.metric=f1 is no metric for labels; choose one of: accuracy, macro_f1"),
        ([*REVIEWS, "task.template='{title}'"], r"task\.template has \{title\}, which is not among task\.fields"),
        ([*REVIEWS, "task.shared_text=title"], r"task\.shared_text=title is not among task\.fields=\['text'\]"),
        ([*REVIEWS, "task.template='{'"], r"task\.template='\{' cannot be read"),
        ([*REVIEWS, "task.fields=[text,text]"], r"task\.fields=\['text', 'text'\] must be columns, each once"),
        ([*REVIEWS, "task.template=Fine?"], r"task\.template=Fine\? reads no field; put them in braces: \{text\}"),
        ([*REVIEWS, "data=hub"], r"task=reviews has no rows; give task\.train=FILE task\.validation=FILE, or data"),
        ([*REVIEWS, "task.name=rte"], r"task\.name=rte is a built-in task"),
        (["task=custom", "task.fields=[text]", "backbone=nano_bert"], r"chooses among labels, .*; give task\.labels"),
        ([*REVIEWS, "task.answer=text"], r"task\.answer=text is among task\.fields=\['text'\]"),
        ([*REVIEWS, "task.max_answer_tokens=0"], r"task\.max_answer_tokens=0 must be 1 or more"),
    ],
)  # fmt: skip
def test_what_is_declared_wrongly_is_refused_before_the_run(configure, overrides, message):
    with pytest.raises(UsageError, match=message):
        check(configure(*overrides))


def test_rows_come_from_files(tmp_path):
    (tmp_path / "t.csv").write_text('\ufefftext,label\n"Warm, good.",good\nCold.,bad\n')
    (tmp_path / "v.jsonl").write_text('{"text": "Fair.", "label": 1}\n')
    reviews = TaskConfig(name="reviews", fields=["text"], train="t.csv", validation="v.jsonl")
    actual = read_examples(DataConfig(name="folder", dir=str(tmp_path)), labelled(), reviews)
    assert [one.fields["text"] for one in actual["train"]] == ["Warm, good.", "Cold."]
    assert [one.label for one in actual["train"] + actual["val"]] == [1, 0, 1]
    with pytest.raises(UsageError, match=r"task\.validation=w\.csv does not exist below"):
        read_examples(
            DataConfig(name="folder", dir=str(tmp_path)), labelled(), TaskConfig(train="t.csv", validation="w.csv")
        )
    with pytest.raises(UsageError, match=r"give task\.train=FILE"):
        read_examples(DataConfig(name="folder", dir=str(tmp_path)), labelled(), TaskConfig())


def test_rows_about_one_text_are_held_out_together(configure):
    task = task_for(configure(*REVIEWS, "task.fields=[cook,text]", "task.shared_text=cook"))
    rows = [example(task, cook=f"{i // 4}", text=f"{i}", label=i % 2, idx=i) for i in range(40)]
    protocol = ProtocolConfig("paper", selection="held_out", held_out=0.3)
    split = split_examples({"train": rows, "val": rows}, task, DataConfig("folder"), protocol)
    cooks = [{one.fields["cook"] for one in part} for part in (split.train, split.select)]
    assert not cooks[0] & cooks[1] and [len(entry) for entry in cooks] == [7, 3]
    task, twice = labelled(), [example(labelled(), text=f"{i // 2}", label=i % 2, idx=i) for i in range(40)]
    split = split_examples({"train": twice, "val": twice}, task, DataConfig("folder"), protocol)
    assert not {one.fields["text"] for one in split.train} & {one.fields["text"] for one in split.select}


def on_hub(tmp_path, **reviews):
    """A folder that `datasets` loads like a data set of the hub."""
    config = DataConfig(name="hub", repo=str(tmp_path / "set"))
    return read_examples(config, labelled(), TaskConfig(name="reviews", fields=["text"], **reviews))


def test_rows_come_from_a_data_set_of_the_hub(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    (tmp_path / "set").mkdir()
    (tmp_path / "set/train.jsonl").write_text('{"text": "Warm.", "label": "good", "id": 7}\n')
    (tmp_path / "set/test.jsonl").write_text('{"text": "Cold.", "label": "bad"}\n{"text": "Old.", "label": "BAD"}\n')
    actual = on_hub(tmp_path, hub_split="test")
    assert [(one.fields, one.label, one.idx) for one in actual["train"]] == [({"text": "Warm."}, 1, 0)]
    assert [(one.fields["text"], one.label) for one in actual["val"]] == [("Cold.", 0), ("Old.", 0)]
    with pytest.raises(
        UsageError, match=r"Unknown split \"validation\".*\nGive another data.repo, .* or task.hub_split"
    ):
        on_hub(tmp_path)
    (tmp_path / "set/test.jsonl").write_text('{"text": "", "label": "bad"}\n')
    with pytest.raises(UsageError, match=r"hub .*set test, row 1: reviews: field 'text'"):
        on_hub(tmp_path, hub_split="test")
    (tmp_path / "set/test.jsonl").write_text('{"words": "Cold."}\n')
    with pytest.raises(UsageError, match=r"cannot be had from the hub: Couldn't cast words: string"):
        on_hub(tmp_path, hub_split="test")


def test_numbered_labels_of_the_hub_go_by_their_names(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    columns = {"text": ["Warm.", "Cold.", "Old."], "label": [0, 1, -1]}
    for names, labels in ((["good", "bad"], [1, 0, None]), (["positive", "negative"], [0, 1, None])):
        features = datasets.Features(text=datasets.Value("string"), label=datasets.ClassLabel(names=names))
        (tmp_path / "set").mkdir(exist_ok=True)
        table = datasets.Dataset.from_dict(columns, features=features)
        table.to_parquet(tmp_path / "set/train.parquet")
        table.select([0, 1]).to_parquet(tmp_path / "set/validation.parquet")
        actual = on_hub(tmp_path)
        assert [one.label for one in actual["train"]] == labels and [one.label for one in actual["val"]] == labels[:2]
    stars = make_task("reviews", ("text",), ("1", "2"))  # for 0 and 1
    data, config = DataConfig(name="hub", repo=str(tmp_path / "set")), TaskConfig(name="reviews", fields=["text"])
    assert [one.label for one in read_examples(data, stars, config)["train"]] == labels
    with pytest.raises(UsageError, match=r"are not the 2 labels of column label \(positive, negative\); give these"):
        read_examples(data, make_task("reviews", ("text",), ("1", "2", "3")), config)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a,b\n1\n", r"f\.csv, line 2 should have 2 values"),
        (b"a,b\n1,2,3\n", r"f\.csv, line 2 should have 2 values"),
        (b"a\n\xff\n", r"f\.csv is not UTF-8"),
        (b'a\n"x" y\n', r"f\.csv, line 2 is not CSV"),
    ],
)
def test_a_fault_in_a_csv_file_names_its_place(content, message):
    with pytest.raises(UsageError, match=message):
        list(read_csv_rows(content, "f.csv"))


def test_a_value_in_a_csv_file_may_be_a_whole_book():
    ((_, row),) = read_csv_rows(b"a\n" + b"word " * 100_000 + b"\n", "f.csv")
    assert len(row["a"]) == 500_000


def test_what_declares_it_is_part_of_its_runs_identity_alone(configure):
    def identity(*overrides):
        return run_id(configure(*overrides), "r", "w", "fp32")

    same = identity(*REVIEWS)
    assert identity(*REVIEWS, "task.train=a.csv", "task.validation=b.csv") == same
    assert len({same, *(identity(*REVIEWS, word) for word in ("task.template='{text}!'", "task.metric=macro_f1"))}) == 3
    assert as_dict(configure("task=rte"))["task"]["fields"] == []
    assert task_for(configure(*REVIEWS)) is task_for(configure(*REVIEWS))
