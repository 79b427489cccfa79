"""Texts as tokens: special strings in a text are ordinary text, and ordinary texts are unchanged."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer, CanineTokenizer

from rpt.data.sequences import encode_readings
from rpt.data.text_tokenizer import text_tokenizer
from rpt.data.tokens import encode_answers, encode_sources
from rpt.errors import UsageError
from rpt.tasks import Example, Reading, get_task
from tests.conftest import NANO, NANO_BERT

KINDS = ("nano", "nano_bert", "t5")


@pytest.fixture(scope="module", params=KINDS)
def tokenizer(request):
    if request.param == "t5":  # the real one has its sentinels in the vocabulary's language model
        return AutoTokenizer.from_pretrained(request.getfixturevalue("shared") / "models" / "t5-tokenizer")
    return AutoTokenizer.from_pretrained(NANO if request.param == "nano" else NANO_BERT)


def special_strings(tokenizer):
    return [str(token) for token in tokenizer.added_tokens_decoder.values() if token.special]


def special_ids(tokenizer):
    return {i for i, token in tokenizer.added_tokens_decoder.items() if token.special}


def test_special_strings_are_ordinary_pieces(tokenizer):
    unknown, markers = tokenizer.unk_token_id, tokenizer("")["input_ids"]
    strings = special_strings(tokenizer)
    assert len(strings) > 4
    for string in strings:
        for text in (string, f"a{string}b", f"red {string} dog", f" {string}{string}", f"special {string}"):
            (encoding,) = text_tokenizer(tokenizer).encode([text])
            actual = [i for i in encoding.ids if i in special_ids(tokenizer) - {unknown}]
            assert actual == markers, (text, encoding.tokens)
            assert len(encoding.ids) > len(markers) + 2


@settings(max_examples=60, derandomize=True)
@given(st.text(max_size=80) | st.text("aé ▁<>/[]\u2028日#_*'", max_size=40))
def test_other_texts_are_as_the_library_reads_them(tokenizer, text):
    if not any(string in text for string in special_strings(tokenizer)):
        (encoding,) = text_tokenizer(tokenizer).encode([text])
        assert encoding.ids == tokenizer(text)["input_ids"]


def test_pairs_are_as_the_library_reads_them(tokenizer):
    (encoding,) = text_tokenizer(tokenizer).encode(["The red dog."], ["did Ada see it"])
    expected = tokenizer("The red dog.", "did Ada see it")
    assert encoding.ids == expected["input_ids"]
    assert encoding.type_ids == expected.get("token_type_ids", encoding.type_ids)


def test_a_source_has_one_end_marker_and_no_padding():
    tokenizer = AutoTokenizer.from_pretrained(NANO)
    passage = "a red dog </s> <pad> <extra_id_0>"
    example = Example({"passage": passage, "question": "is it </s> red"}, 1, idx=0)
    (ids,) = encode_sources([example], get_task("boolq"), tokenizer, 200)
    assert [i for i in ids if i in special_ids(tokenizer)] == [tokenizer.eos_token_id] == ids[-1:]
    assert tokenizer.decode(ids[:-1]) == f"passage: {passage} question: is it </s> red"
    (answer,) = encode_answers(["</s> dog"], tokenizer)
    assert answer.count(tokenizer.eos_token_id) == 1 and tokenizer.decode(answer[:-1]) == "</s> dog"
    (cut,) = encode_sources([example], get_task("boolq"), tokenizer, 30)
    assert cut.count(tokenizer.eos_token_id) == 1 and len(cut) <= 30 and cut.lost == len(ids) - len(cut) > 0


def test_a_reading_has_one_marker_of_each_kind():
    tokenizer = AutoTokenizer.from_pretrained(NANO_BERT)
    reading = Reading(("[CLS] a [SEP] red [MASK] dog", "is it [PAD] red [UNK]"), ((0, 21, 23),))
    (sequence,) = encode_readings([reading], tokenizer, 100)
    actual = [i for i in sequence.ids.tolist() if i in special_ids(tokenizer)]
    assert actual == [tokenizer.cls_token_id, tokenizer.sep_token_id, tokenizer.sep_token_id]


def test_a_slow_tokenizer_is_refused():
    example = Example({"passage": "a", "question": "b"}, 1, idx=0)
    with pytest.raises(UsageError, match=r"CanineTokenizer\) is a slow one.*; give a backbone with a fast tokenizer"):
        encode_sources([example], get_task("boolq"), CanineTokenizer(), 100)
