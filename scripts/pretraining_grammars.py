"""What the nano backbones have read in pre-training: five tasks in another form, and running texts for span corruption.

Nothing here may change: the embedded weights come from these rows and texts.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from rpt.data import miniature
from rpt.data.miniature.facts import capital, facts, passage
from rpt.data.miniature.grammars import GeneratedRow, compare, explain, refer
from rpt.data.miniature.lexicon import (
    CAUSES,
    COLOURS,
    COUNTERFACTIVE,
    FACTIVE,
    KIND_OF,
    NAMES,
    OPEN,
    PLACES,
    SENSES,
    THINGS,
)

REFERENCES = [  # (sentence with two people A, B and a pronoun, the referent of the pronoun)
    ("{A} lent {B} the {thing} because {p} needed it", "B"),
    ("{A} lent {B} the {thing} because {p} did not need it", "A"),
    ("{A} thanked {B} because {p} had received help", "A"),
    ("{A} thanked {B} because {p} had given help", "B"),
    ("{A} asked {B} about the {thing} but {p} did not answer", "B"),
    ("{A} asked {B} about the {thing} because {p} was curious", "A"),
    ("{A} beat {B} in the race because {p} was fast", "A"),
    ("{A} beat {B} in the race because {p} was slow", "B"),
    ("{A} carried {B} home because {p} was strong", "A"),
    ("{A} carried {B} home because {p} was hurt", "B"),
    ("{A} paid {B} after {p} delivered the {thing}", "B"),
    ("{A} paid {B} after {p} received the {thing}", "A"),
    ("{A} called {B} but {p} was not at home", "B"),
    ("{A} called {B} because {p} felt lonely", "A"),
    ("{A} taught {B} to paint although {p} was a bad pupil", "B"),
    ("{A} taught {B} to paint although {p} was a bad teacher", "A"),
    ("{A} envied {B} because {p} had won the {thing}", "B"),
    ("{A} envied {B} although {p} had won the {thing}", "A"),
]


def cb(draw: random.Random) -> GeneratedRow:
    who, other = draw.sample(NAMES, 2)
    thing, place, colour = draw.choice(THINGS), draw.choice(PLACES), draw.choice(COLOURS)
    kind = draw.choices(["true", "open", "false"], [50, 15, 35])[0]
    verb = draw.choice({"true": FACTIVE, "open": OPEN, "false": COUNTERFACTIVE}[kind])
    negated = kind != "open" and draw.random() < 0.35
    claim = f"the {colour} {thing} was {'not ' if negated else ''}in the {place}"
    premise = f"{other} asked about the {thing}. {who} {verb} that {claim}."
    if kind == "open":
        label = "neutral"
    else:
        label = "entailment" if (kind == "true") != negated else "contradiction"
    return {"premise": premise, "hypothesis": f"the {colour} {thing} was in the {place}", "label": label}


def copa(draw: random.Random) -> GeneratedRow:
    return explain(draw, CAUSES)


def multirc(draw: random.Random) -> GeneratedRow:
    some = facts(draw, draw.choice([2, 2, 3]))
    if len(some) == 3:  # one person did two things, so a question can have two answers
        some[1].who = some[0].who
    questions = []
    for who in sorted({fact.who for fact in some})[:2]:
        true = [f"a {f.colour} {f.thing}" for f in some if f.who == who]
        false = [f"a {f.colour} {f.thing}" for f in some if f.who != who]
        near = draw.choice([f for f in some if f.who == who])
        near_miss = f"a {draw.choice([c for c in COLOURS if c != near.colour])} {near.thing}"
        answers = [(text, 1) for text in true] + [(text, 0) for text in (*false, near_miss)]
        answers = draw.sample(answers, min(3, len(answers)))
        if not any(label for _, label in answers):
            answers[0] = (true[0], 1)
        questions.append(
            {
                "question": f"What did {who} have?",
                "answers": [{"text": text, "label": label} for text, label in answers],
            }
        )
    return {"passage": {"text": passage(some), "questions": questions}}


def wic(draw: random.Random) -> GeneratedRow:
    return compare(draw, SENSES)


def wsc(draw: random.Random) -> GeneratedRow:
    return refer(draw, REFERENCES)


OTHER_FORMS = {"cb": cb, "copa": copa, "multirc": multirc, "wic": wic, "wsc": wsc}
PRETRAINING: miniature.Grammars = miniature.GRAMMARS | OTHER_FORMS


def text(draw: random.Random) -> str:
    """A short text: one or two facts, a cause, a word in one sense, or a pronoun with its referent."""
    return draw.choice([_retold, _retold, _explained, _sense, _referred])(draw)


def _retold(draw: random.Random) -> str:
    some = facts(draw, draw.choice([1, 2, 2]))
    again = [
        draw.choice(
            [
                f"{f.who} {f.verb[2]} the {f.colour} {f.thing}.",
                f"The {f.colour} {f.thing} was in the {f.place}.",
                f"{f.who} {f.verb[2]} the {KIND_OF[f.thing]}.",
                f"The {f.thing} was {f.colour}.",
            ]
        )
        for f in draw.sample(some, min(2, len(some)))
    ]
    return passage(some) + " " + " ".join(again)


def _explained(draw: random.Random) -> str:
    (cause, effect), who = draw.choice(CAUSES), draw.choice(NAMES)
    sentence = draw.choice(["{effect} because {cause}", "{cause}, so {effect}"]).format(cause=cause, effect=effect)
    return capital(sentence.replace("{}", who))


def _sense(draw: random.Random) -> str:
    contexts = draw.choice(draw.choice(list(SENSES.values())))
    return " ".join(capital(c.format(draw.choice(NAMES))) for c in draw.sample(contexts, 2))


def _referred(draw: random.Random) -> str:
    row = wsc(draw)
    while not row["label"]:
        row = wsc(draw)
    return f"{row['text'][:-1]}: {row['target']['span2_text']} is {row['target']['span1_text']}."


def endless_text(seed: int | str) -> Iterator[str]:
    """An endless stream of running texts, from a seed."""
    draw = random.Random(f"miniature text {seed}")
    while True:
        yield text(draw)
