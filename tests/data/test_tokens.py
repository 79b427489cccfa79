"""Tokenised rows: cut in the right places, with one end marker, cached; real text has no unknown tokens."""

import dataclasses

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from rpt.data.json_lines import read_json_lines
from rpt.data.rows import parse_rows
from rpt.data.tokens import encode_answers, encode_sources, shorten
from rpt.tasks import TASKS, Example, get_task
from rpt.tasks.custom import make_task
from tests.conftest import NANO


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(NANO)


def boolq(passage, question, idx=0):
    return Example({"passage": passage, "question": question}, 1, idx=idx)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(length=st.integers(1, 400), text_budget=st.integers(40, 300))
def test_long_rows_lose_the_end_of_their_passage_only(tokenizer, tmp_path_factory, length, text_budget):
    example = boolq(" ".join(f"red{i}" for i in range(length)), "did Ada buy a red coat")
    cache = tmp_path_factory.mktemp("c")
    (ids,) = encode_sources([example], get_task("boolq"), tokenizer, text_budget, cache)
    assert len(ids) <= text_budget and ids.count(tokenizer.eos_token_id) == 1 and ids[-1] == tokenizer.eos_token_id
    text = tokenizer.decode(ids, skip_special_tokens=True)
    assert text.endswith("question: did Ada buy a red coat")
    stored = text.removeprefix("passage: ").split(" question:")[0].split()
    assert stored == example.fields["passage"].split()[: len(stored)]


def test_cache_gives_the_same_and_follows_its_inputs(tokenizer, tmp_path):
    examples = [boolq("a passage", "a question", i) for i in range(3)]
    first = encode_sources(examples, get_task("boolq"), tokenizer, 64, tmp_path)
    (file,) = tmp_path.iterdir()
    assert encode_sources(examples, get_task("boolq"), tokenizer, 64, tmp_path) == first
    file.write_bytes(file.read_bytes()[:20])  # a cut file is made again
    assert encode_sources(examples, get_task("boolq"), tokenizer, 64, tmp_path) == first
    other = [dataclasses.replace(examples[0], fields={"passage": "b", "question": "c"}), *examples[1:]]
    assert encode_sources(other, get_task("boolq"), tokenizer, 64, tmp_path) != first
    encode_sources(examples, get_task("boolq", protocol="superglue"), tokenizer, 64, tmp_path)
    assert len(list(tmp_path.iterdir())) == 3


def test_answers_end_in_one_marker_and_are_cut_before_it(tokenizer):
    (whole,) = encode_answers(["true; Ada; Ben; Clara"], tokenizer)
    assert whole[-1] == tokenizer.eos_token_id and whole.count(whole[-1]) == 1
    assert shorten(whole, 3) == [*whole[:2], whole[-1]] and shorten(whole, 100) == whole


@given(st.text(max_size=200))
def test_any_text_passes_without_unknown_pieces(tokenizer, text):
    assert tokenizer.unk_token_id not in tokenizer(text, split_special_tokens=True)["input_ids"]


@given(st.text([chr(c) for c in range(32, 127)], max_size=200).map(lambda text: " ".join(text.split())))
def test_text_comes_back_from_its_tokens(tokenizer, text):
    ids = tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
    assert tokenizer.decode(ids) == text


@pytest.mark.parametrize("task", TASKS)
def test_real_rows_pass_without_unknown_pieces(tokenizer, shared, tmp_path, task):
    path = shared / "fewglue" / TASKS[task].folder / "train.jsonl"
    examples = parse_rows(get_task(task), str(path), read_json_lines(path.read_bytes(), str(path)))
    sources = encode_sources(examples, get_task(task), tokenizer, 502, tmp_path)
    assert all(0 < len(ids) <= 502 and tokenizer.unk_token_id not in ids for ids in sources)


def test_the_question_stays_though_a_field_that_the_template_leaves_out_is_longer(tokenizer):
    task = make_task("mine", ("note", "text", "question"), ("yes", "no"), template="{text} asked {question}")
    example = Example({"note": "red " * 100, "text": "blue " * 60, "question": "is it green"}, 0, idx=0)
    (source,) = encode_sources([example], task, tokenizer, 40)
    assert len(source) == 40 and tokenizer.decode(source).endswith("blue asked is it green</s>")


def test_of_several_long_fields_each_loses_its_end_and_the_question_stays(tokenizer):
    task = make_task("mine", ("first", "second", "question"), ("yes", "no"))
    long = {"first": " ".join(f"red{i}" for i in range(80)), "second": " ".join(f"blue{i}" for i in range(70))}
    (source,) = encode_sources([Example({**long, "question": "is it green"}, 0, idx=0)], task, tokenizer, 60)
    text = tokenizer.decode(source, skip_special_tokens=True)
    assert len(source) <= 60 and text.endswith("question: is it green")
    assert "red0 red1" in text and "blue0 blue1" in text


def test_the_cache_follows_the_format_of_a_task_of_one_s_own(tokenizer, tmp_path):
    """Its class is changed from one command to the next."""

    class Mine(type(get_task("boolq"))):
        written = "is it so: "

        def source(self, example):
            return self.written + example.fields["question"]

    task, asked = Mine("paper"), ([boolq("a passage", "a question")], tokenizer, 64, tmp_path)
    first = encode_sources(asked[0], task, *asked[1:])
    Mine.written = "tell me: "
    assert encode_sources(asked[0], task, *asked[1:]) != first
