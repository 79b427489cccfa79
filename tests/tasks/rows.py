"""One small hand-written row of each task in both schemas, and the texts it must become.

`hub` and `official` hold the same examples: the nested tasks' official row holds all of them, a hub row one.
"""

from typing import Any, NamedTuple


class Golden(NamedTuple):
    official: dict[str, Any]
    hub: list[dict[str, Any]]
    paper: tuple[str, list[str]]  # source and targets of the last example
    superglue: tuple[str, list[str]]


PARAGRAPH = "<b>Sent 1: </b>Ann has a cat.<br><b>Sent 2: </b>It is old.<br>"
ARTICLE = "Ann Lee met Bob in Ulm.\n@highlight\nBob likes Ulm\n@highlight\nLee left"

GOLDEN = {
    "boolq": Golden(
        official={"question": "is ulm a city", "passage": "Ulm -- Ulm is a city.", "idx": 7, "label": True},
        hub=[{"question": "is ulm a city", "passage": "Ulm -- Ulm is a city.", "idx": 7, "label": 1}],
        paper=("passage: Ulm -- Ulm is a city. question: is ulm a city", ["true"]),
        superglue=("boolq passage: Ulm -- Ulm is a city. question: is ulm a city", ["True"]),
    ),
    "cb": Golden(
        official={"premise": "I doubt it rains.", "hypothesis": "it rains", "label": "neutral", "idx": 3},
        hub=[{"premise": "I doubt it rains.", "hypothesis": "it rains", "label": 2, "idx": 3}],
        paper=("premise: I doubt it rains. hypothesis: it rains", ["neutral"]),
        superglue=("cb hypothesis: it rains premise: I doubt it rains.", ["neutral"]),
    ),
    "copa": Golden(
        official={
            "premise": "The cup broke.",
            "choice1": "It fell.",
            "choice2": "It rained.",
            "question": "cause",
            "label": 0,
            "idx": 1,
        },
        hub=[
            {
                "premise": "The cup broke.",
                "choice1": "It fell.",
                "choice2": "It rained.",
                "question": "cause",
                "idx": 1,
                "label": 0,
            }
        ],
        paper=("choice1: It fell. choice2: It rained. premise: The cup broke. question: cause", ["false"]),
        superglue=(
            "copa choice1: It fell. choice2: It rained. premise: The cup broke. question: cause",
            ["choice1"],
        ),
    ),
    "multirc": Golden(
        official={
            "idx": 4,
            "version": 1.1,
            "passage": {
                "text": PARAGRAPH,
                "questions": [
                    {
                        "question": "Who has a cat?",
                        "idx": 9,
                        "answers": [
                            {"text": "Bob", "idx": 20, "label": 0},
                            {"text": "Ann", "idx": 21, "label": 1},
                        ],
                    }
                ],
            },
        },
        hub=[
            {
                "paragraph": PARAGRAPH,
                "question": "Who has a cat?",
                "answer": answer,
                "idx": {"paragraph": 4, "question": 9, "answer": 20 + label},
                "label": label,
            }
            for label, answer in enumerate(["Bob", "Ann"])
        ],
        paper=(f"question: Who has a cat? answer: Ann paragraph: {PARAGRAPH}", ["true"]),
        superglue=(
            "multirc question: Who has a cat? answer: Ann paragraph: Sent 1: Ann has a cat. Sent 2: It is old.",
            ["True"],
        ),
    ),
    "record": Golden(
        official={
            "source": "Daily mail",
            "idx": 5,
            "passage": {
                "text": ARTICLE,
                "entities": [{"start": start, "end": end} for start, end in [(12, 14), (0, 6), (19, 21), (35, 37)]],
            },
            "qas": [
                {
                    "query": "@placeholder is glad",
                    "idx": 6,
                    "answers": [
                        {"start": 35, "end": 37, "text": "Bob"},
                        {"start": 12, "end": 14, "text": "Bob"},
                        {"start": 0, "end": 6, "text": "Ann Lee"},
                    ],
                }
            ],
        },
        hub=[
            {
                "passage": ARTICLE,
                "query": "@placeholder is glad",
                "entities": ["Ulm", "Bob", "Ann Lee"],
                "entity_spans": {"text": [], "start": [], "end": []},
                "answers": ["Ann Lee", "Bob"],
                "idx": {"passage": 5, "query": 6},
            }
        ],
        paper=(
            f"passage : {ARTICLE} query: @placeholder is glad entities: Ann Lee; Bob; Ulm",
            ["Ann Lee; Bob"],
        ),
        superglue=(
            "record query: @placeholder is glad entities: Ann Lee, Bob, Ulm "
            "passage: Ann Lee met Bob in Ulm. Bob likes Ulm. Lee left",
            ["Ann Lee", "Bob"],
        ),
    ),
    "rte": Golden(
        official={"premise": "Ann ran.", "hypothesis": "Ann sat.", "label": "not_entailment", "idx": 2},
        hub=[{"premise": "Ann ran.", "hypothesis": "Ann sat.", "label": 1, "idx": 2}],
        paper=("premise: Ann ran. hypothesis: Ann sat.", ["not_entailment"]),
        superglue=("rte hypothesis: Ann sat. premise: Ann ran.", ["not_entailment"]),
    ),
    "wic": Golden(
        official={
            "word": "bank",
            "sentence1": "A bank lends.",
            "sentence2": "The river bank.",
            "idx": 8,
            "label": False,
            "start1": 2,
            "end1": 6,
            "start2": 10,
            "end2": 14,
            "version": 1.1,
        },
        hub=[
            {
                "word": "bank",
                "sentence1": "A bank lends.",
                "sentence2": "The river bank.",
                "idx": 8,
                "label": 0,
                "start1": 2,
                "end1": 6,
                "start2": 10,
                "end2": 14,
            }
        ],
        paper=(
            "start1: 2 end1: 6 sentence1: A bank lends. start2: 10 end2: 14 sentence2: The river bank. word: bank",
            ["false"],
        ),
        superglue=("wic sentence1: A bank lends. sentence2: The river bank. word: bank", ["False"]),
    ),
    "wsc": Golden(
        official={
            "text": 'Ann saw the cup, and "it," she said, was full.',
            "target": {"span1_index": 2, "span1_text": "the cup", "span2_index": 5, "span2_text": "it"},
            "idx": 0,
            "label": True,
        },
        hub=[
            {
                "text": 'Ann saw the cup, and "it," she said, was full.',
                "span1_index": 2,
                "span1_text": "the cup",
                "span2_index": 5,
                "span2_text": "it",
                "idx": 0,
                "label": 1,
            }
        ],
        paper=('Ann saw the cup, and "*it*," she said, was full.', ["the cup"]),
        superglue=('wsc: Ann saw the cup, and "*it*," she said, was full.', ["the cup"]),
    ),
}
