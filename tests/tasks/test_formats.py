"""Golden texts of every task for both schemas and protocols; wrong rows are refused."""

from dataclasses import replace

import pytest

from rpt.tasks import PROTOCOLS, TASKS, clean, get_task
from tests.tasks.rows import GOLDEN

BY_TASK = pytest.mark.parametrize("name", TASKS)
VERBALIZED = [name for name in TASKS if name not in ("record", "wsc")]


def example_of(name, **changes):
    return get_task(name).parse(GOLDEN[name].hub[-1] | changes)[0]


def test_the_eight_tasks_are_found():
    assert set(TASKS) == set(GOLDEN)
    assert all(TASKS[name].name == name == get_task(name).name for name in TASKS)
    with pytest.raises(ValueError, match="'sst2' is unknown; there are boolq, cb, copa"):
        get_task("sst2")


@BY_TASK
def test_both_schemas_give_the_same_examples(name):
    task, golden = get_task(name), GOLDEN[name]
    official = task.parse(golden.official)
    assert official == [example for row in golden.hub for example in task.parse(row)]
    assert len(official) == len(golden.hub)


@BY_TASK
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_golden_texts(name, protocol):
    task, golden = get_task(name, protocol=protocol), GOLDEN[name]
    example = task.parse(golden.official)[-1]
    assert (task.source(example), task.targets(example)) == getattr(golden, protocol)


@BY_TASK
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_verbalizers_are_what_targets_and_interpretation_use(name, protocol):
    task = get_task(name, protocol=protocol)
    verbalizers = task.verbalizers
    assert (verbalizers is None) == (name not in VERBALIZED) == (task.max_answer_tokens is not None)
    for label, word in enumerate(verbalizers or ()):
        example = example_of(name, label=label)
        assert task.targets(example) == [word]
        assert task.interpret(f" The {word.upper()}.", example) == label
        assert task.interpret(f"{word} {word}", example) is None
        assert task.interpret("", example) is None


@pytest.mark.parametrize("name", VERBALIZED)
def test_labels_in_every_spelling(name):
    task = get_task(name)
    for index, label in enumerate(task.labels):
        spellings = [index, label, label.lower()] + ([bool(index)] if label in ("False", "True") else [])
        assert [example_of(name, label=spelling).label for spelling in spellings] == [index] * len(spellings)
    unlabelled = [example_of(name, label=-1), example_of(name, label=None)]
    row = dict(GOLDEN[name].hub[-1])
    del row["label"]
    for example in unlabelled + task.parse(row):
        assert example.label is None
        assert task.targets(example) == []
        with pytest.raises(ValueError, match=f"{name}: example .* has no gold"):
            task.score([example], [0])


@pytest.mark.parametrize("name", VERBALIZED)
@pytest.mark.parametrize("label", [-2, 3, 1.0, "maybe", [1]])
def test_a_wrong_label_is_named(name, label):
    with pytest.raises(ValueError, match=rf"{name}: field 'label' should be one of .*, or -1, found "):
        example_of(name, label=label)


def test_a_bool_is_no_label_where_labels_are_not_truth_values():
    with pytest.raises(ValueError, match=r"rte: field 'label' .* found bool True"):
        example_of("rte", label=True)


@BY_TASK
def test_a_missing_or_mistyped_field_is_named(name):
    task, row = get_task(name), GOLDEN[name].hub[-1]
    for field in (*task.columns, "idx", *(["entities"] if name == "record" else [])):
        with pytest.raises(ValueError, match=f"{name}: field '{field}' is missing"):
            task.parse({key: value for key, value in row.items() if key != field})
        for wrong in (None, 2.5, True):
            with pytest.raises(ValueError, match=f"{name}: field '{field}' should be .*, found"):
                task.parse(row | {field: wrong})


@pytest.mark.parametrize(
    ("name", "row", "message"),
    [
        ("multirc", {"idx": 1, "passage": {"text": "a"}}, "multirc: field 'questions' is missing"),
        (
            "multirc",
            {"idx": 1, "passage": {"text": "a", "questions": [3]}},
            "multirc: field 'answers' is missing",
        ),
        ("record", {"idx": 1, "passage": {"entities": []}, "qas": []}, "record: field 'text' is missing"),
        ("record", {"idx": 1, "passage": {"text": "a", "entities": []}}, "record: field 'qas' is missing"),
        (
            "record",
            GOLDEN["record"].hub[0] | {"entities": [1]},
            "record: field 'entities' should be str, found int",
        ),
        ("record", GOLDEN["record"].hub[0] | {"entities": []}, "record: field 'entities' is empty"),
        ("wsc", {"text": "a", "target": "it", "idx": 0}, "wsc: field 'target' should be dict, found str"),
        ("wsc", {"text": "a", "target": {}, "idx": 0}, "wsc: field 'span1_index' is missing"),
    ],
)
def test_faults_inside_nested_rows_are_named(name, row, message):
    with pytest.raises(ValueError, match=message):
        get_task(name).parse(row)


@BY_TASK
@pytest.mark.parametrize("family", ["t5", "bert"])
def test_an_unknown_protocol_is_refused(name, family):
    with pytest.raises(ValueError, match="protocol 'glue' is unknown; there are paper, superglue"):
        get_task(name, family, "glue")


@BY_TASK
@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("family", ["t5", "bert"])
def test_a_task_is_made_once_for_each_protocol(name, family, protocol):
    task = get_task(name, family, protocol)
    assert task is get_task(name, family, protocol) and task.protocol == protocol


def test_wic_writes_the_part_of_speech_where_a_row_has_it():
    example, task = example_of("wic", pos="N"), get_task("wic", protocol="superglue")
    assert task.source(example).startswith("wic pos: N sentence1: A bank lends. sentence2:")
    assert get_task("wic").source(example) == GOLDEN["wic"].paper[0]


@pytest.mark.parametrize("name", ["multirc", "record"])
def test_groups_are_the_official_units(name):
    assert example_of(name).group == {"multirc": (4, 9), "record": (5, 6)}[name]
    assert example_of("boolq").group is None


def test_record_without_answers_is_not_trained_on():
    task, official = get_task("record"), GOLDEN["record"].official
    del (question := dict(official["qas"][0]))["answers"]
    for example in (example_of("record", answers=[]), *task.parse(official | {"qas": [question]})):
        assert example.answers == ()
        assert [get_task("record", protocol=protocol).targets(example) for protocol in PROTOCOLS] == [[], []]


@pytest.mark.parametrize(
    ("text", "span", "index", "starred"),
    [
        ("it said it was it", "it", 2, "it said *it* was it"),
        ("we use it , now it", "it", 1, "we use *it* , now it"),  # off by one
        ("John cried. He ran.", "he", 2, "John cried. *He* ran."),
        ("the pony's legs; its head", "its", 3, "the pony's legs; *its* head"),
        ("bite it, it bites", "it", 1, "bite *it*, it bites"),  # and not the "it" in "bite"
        ("he saw Mr. Lee , then", "Mr. Lee", 2, "he saw *Mr. Lee* , then"),
        ("they  saw\nthem .", "them.", 2, "they  saw\n*them* ."),
    ],
)
def test_wsc_stars_the_pronoun_nearest_to_its_index(text, span, index, starred):
    example = example_of("wsc", text=text, span2_text=span, span2_index=index)
    assert get_task("wsc").source(example) == starred


@pytest.mark.parametrize(("span", "fault"), [("they", "not in the text"), ("", "empty"), ("*", "not in the text")])
def test_wsc_refuses_a_pronoun_that_is_not_there(span, fault):
    with pytest.raises(ValueError, match=f"wsc: field 'span2_text' is {fault}"):
        example_of("wsc", span2_text=span)


def test_wsc_negatives_are_evaluated_under_superglue_only():
    paper, superglue = (get_task("wsc", protocol=protocol) for protocol in PROTOCOLS)
    for label in (0, 1, -1):
        example = example_of("wsc", label=label)
        assert superglue.evaluated(example)
        assert paper.evaluated(example) == (label == 1)
        assert paper.targets(example) == superglue.targets(example) == ["the cup"] * (label == 1)


@pytest.mark.parametrize(
    ("text", "noun", "same"),
    [
        ("The cup", "the cup", 1),
        (" CUP\n", "the cup", 1),
        ("the big cup", "the cup", 1),
        ("cup", "the big red cup", 1),
        ("Ann", "the cup", 0),
        ("The cup.", "the cup", 0),  # punctuation stays
        ("his cup", "some cup", 1),  # 21 determiners and possessives do not count
        ("its cup", "the cup", 1),  # but one contains the other
        ("its cup", "her old cup", 0),  # "its" is none of the 21
        ("the cup's owner", "the cup", 0),
        ("Bob", "Bob's hat", 0),
        ("bob's", "Bob's hat", 1),
        ("the boys' hat", "hat", 0),  # an apostrophe on one side only
        ("", "the cup", None),
        ("the", "the cup", None),
        ("the cup", "this", 0),
    ],
)
def test_wsc_same_referent(text, noun, same):
    """By the rule of T5's public `wsc_simple`."""
    example = example_of("wsc")
    example = replace(example, fields={**example.fields, "span1_text": noun})
    paper, superglue = (get_task("wsc", protocol=protocol) for protocol in PROTOCOLS)
    assert superglue.interpret(text, example) == same
    assert paper.interpret(text, example) == text
    assert paper.find_label(text, example) == superglue.find_label(text, example) == same  # what a server answers


def test_wsc_takes_a_noun_in_pieces_for_its_first_word():
    """As in two official test rows; all words of the span must occur."""
    changes = {"text": "Kim Lee, and Ann Fox, met. They ate.", "span1_text": "Lee and Fox", "span2_text": "They"}
    example = get_task("wsc", "bert").parse(GOLDEN["wsc"].hub[0] | changes)[0]
    (reading,) = get_task("wsc", "bert").decisions(example)[0].readings
    assert reading.texts == ("Kim *Lee*, and Ann Fox, met. *They* ate.",)
    with pytest.raises(ValueError, match="field 'span1_text' is not in the text"):
        get_task("wsc", "bert").parse(GOLDEN["wsc"].hub[0] | changes | {"span1_text": "Lee and Bob"})


def test_wic_spans_move_with_the_spaces_that_are_dropped():
    example = example_of(
        "wic", sentence1="  A bank lends. ", start1=4, end1=8, sentence2="\tThe river bank.", start2=11, end2=15
    )
    assert example.fields == example_of("wic").fields


@pytest.mark.parametrize(
    ("word", "sentence"),
    [("go", "She went home."), ("be", "We were there."), ("be", "I'm here."), ("have", "They've left."),
     ("good", "It is better."), ("École", "an école there"), ("run", "He ran.")],
)  # fmt: skip
def test_wic_takes_a_word_in_any_of_its_forms(word, sentence):
    example_of("wic", word=word, sentence1=sentence, start1=0, end1=2, sentence2=sentence, start2=0, end2=2)


def test_record_bullets_end_the_sentence_only_where_it_does_not_end():
    example = example_of("record", passage='He "won"\n@highlight\nIt rained!\n@highlight\nThe end\n@highlight\nx')
    source = get_task("record", protocol="superglue").source(example)
    assert source.endswith('passage: He "won" It rained! The end. x')


def test_clean():
    assert clean("  The A-team, an  'x'\n") == "ateam x"
    assert clean("not_entailment") == "notentailment"
    assert clean("The!") == ""


def test_a_text_is_an_answer_of_record_if_it_is_an_entity_of_the_row():
    task = get_task("record")
    (example,) = task.parse({
        "passage": "Ann Lee met Bob in Ulm.", "query": "@placeholder is glad.", "entities": ["Ann Lee", "Bob"],
        "idx": {"passage": 0, "query": 0},
    })  # fmt: skip
    for text, answered in {
        "bob": True,
        "Ann Lee; Bob": True,
        "Bob; the": True,
        "Ann": False,
        "Ulm": False,
        "": False,
    }.items():
        assert task.is_answer(text, example) == answered, text
    (noun,) = get_task("wsc").parse({
        "text": "Ann met Bob and he smiled.", "idx": 0,
        "span1_text": "Bob", "span1_index": 2, "span2_text": "he", "span2_index": 4,
    })  # fmt: skip
    assert get_task("wsc").is_answer("Ann", noun) and not get_task("wsc").is_answer("", noun)
