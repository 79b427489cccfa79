"""An encoder's tokens: cut in the right places, with correct marks, and cached."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from rpt.data.json_lines import read_json_lines
from rpt.data.rows import parse_rows
from rpt.data.sequences import encode_decisions, encode_readings
from rpt.errors import UsageError
from rpt.tasks import TASKS, Reading, get_task
from rpt.tasks.examples import starred
from tests.conftest import NANO_BERT

ANYTIME = settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(NANO_BERT)


def pieces(tokenizer, sequence, part=slice(None)):
    return tokenizer.convert_ids_to_tokens(sequence.ids[part].tolist())


@ANYTIME
@given(length=st.integers(1, 300), text_budget=st.integers(24, 200))
def test_a_long_passage_loses_its_end_and_the_question_nothing(tokenizer, length, text_budget):
    passage, question = " ".join(["red", "dog"] * length), "did ada buy a coat"
    (sequence,) = encode_readings([Reading((passage, question))], tokenizer, text_budget)
    expected = tokenizer(" ".join(passage.split()[: max(0, min(2 * length, text_budget - 3 - 5))]), question)
    assert sequence.ids.tolist() == expected["input_ids"] and len(sequence) <= text_budget
    assert sequence.second == expected["token_type_ids"].index(1)


@ANYTIME
@given(
    before=st.integers(0, 120), between=st.integers(0, 120), after=st.integers(0, 120), text_budget=st.integers(24, 200)
)
def test_marked_words_stay(tokenizer, before, between, after, text_budget):
    parts = [" ".join(["red"] * before), "ada", " ".join(["dog"] * between), "she", " ".join(["coat"] * after)]
    text = " ".join(part for part in parts if part)
    at = [(text.index(word), text.index(word) + len(word)) for word in ("ada", "she")]
    (sequence,) = encode_readings([starred([text], [(0, *span) for span in at])], tokenizer, text_budget)
    assert len(sequence) == min(text_budget, before + between + after + 8)
    assert [pieces(tokenizer, sequence, slice(*mark)) for mark in sequence.marks] == [["ada"], ["she"]]
    assert pieces(tokenizer, sequence)[0] == "[CLS]" and pieces(tokenizer, sequence)[-1] == "[SEP]"


def test_a_question_longer_than_the_budget_is_cut_last(tokenizer):
    (sequence,) = encode_readings([Reading(("red dog", "coat " * 60))], tokenizer, 32)
    assert pieces(tokenizer, sequence) == ["[CLS]", "[SEP]", *["coat"] * 29, "[SEP]"]


def test_a_mark_outside_of_its_text_is_named(tokenizer):
    with pytest.raises(UsageError, match="no word at characters 7 to 9 of 'red dog'"):
        encode_readings([Reading(("red dog",), ((0, 7, 9),))], tokenizer, 32)


@pytest.mark.parametrize("name", TASKS)
def test_real_rows_and_the_cache(tokenizer, shared, tmp_path, name):
    task = get_task(name, "bert")
    path = shared / "fewglue" / task.folder / "train.jsonl"
    examples = parse_rows(task, str(path), read_json_lines(path.read_bytes(), str(path)))
    first = encode_decisions(examples, task, tokenizer, 100, tmp_path)
    (file,) = tmp_path.iterdir()
    again = encode_decisions(examples, task, tokenizer, 100, tmp_path)
    file.write_bytes(file.read_bytes()[:20])  # a cut file is made again
    for other in (again, encode_decisions(examples, task, tokenizer, 100, tmp_path)):
        for one, same in zip(flat(first), flat(other), strict=True):
            assert np.array_equal(one.ids, same.ids) and (one.second, one.marks) == (same.second, same.marks)
    for sequence in flat(first):
        assert 0 < len(sequence) <= 100 and sequence.ids[0] == tokenizer.cls_token_id
        assert sequence.ids[-1] == tokenizer.sep_token_id and len(sequence.marks) == task.encoder_marks
        assert all(0 < start < end < len(sequence) for start, end in sequence.marks)
    assert [len(of_example) for of_example in first] == [len(task.decisions(example)) for example in examples]


def flat(encoded):
    return [sequence for of_example in encoded for decision in of_example for sequence in decision]
