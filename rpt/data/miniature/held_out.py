"""Grammars of forms that pre-training lacks. The embedded backbones have met these tasks in another form only.

A prompt can elicit what a backbone has learned, or adapt it to something new. The miniature has both: BoolQ, ReCoRD and
RTE are drawn as in pre-training (elicit), CB, MultiRC and WSC are not (adapt). Half of COPA's causes and half of WiC's
words are new.
"""

from __future__ import annotations

import random

from rpt.data.miniature.facts import facts, passage
from rpt.data.miniature.grammars import GeneratedRow, compare, explain, refer
from rpt.data.miniature.lexicon import (
    CAUSES,
    COLOURS,
    COUNTERFACTIVE,
    FACTIVE,
    NAMES,
    NEW_CAUSES,
    NEW_REFERENCES,
    NEW_SENSES,
    OPEN,
    PLACES,
    SENSES,
    THINGS,
)


def cb(draw: random.Random) -> GeneratedRow:
    """Somebody reports what another person says; in pre-training there is one speaker. Only factive verbs commit."""
    asking, who, told = draw.sample(NAMES, 3)
    thing, place, colour = draw.choice(THINGS), draw.choice(PLACES), draw.choice(COLOURS)
    kind = draw.choices(["true", "false", "open", "hearsay"], [40, 30, 10, 20])[0]
    first = draw.choice(OPEN + COUNTERFACTIVE if kind == "hearsay" else FACTIVE)
    second = draw.choice({"true": FACTIVE, "false": COUNTERFACTIVE, "open": OPEN, "hearsay": FACTIVE}[kind])
    negated = draw.random() < 0.35
    claim = f"the {colour} {thing} was {'not ' if negated else ''}in the {place}"
    premise = f"{asking} asked about the {thing}. {who} {first} that {told} {second} that {claim}."
    if kind in ("open", "hearsay"):
        label = "neutral"
    else:
        label = "entailment" if (kind == "true") != negated else "contradiction"
    return {"premise": premise, "hypothesis": f"the {colour} {thing} was in the {place}", "label": label}


def copa(draw: random.Random) -> GeneratedRow:
    return explain(draw, CAUSES + NEW_CAUSES)


def multirc(draw: random.Random) -> GeneratedRow:
    """Fewer facts, and most false answers name things that the passage does not mention."""
    some = facts(draw, draw.choice([1, 2, 2]))
    absent = [thing for thing in THINGS if thing not in {fact.thing for fact in some}]
    questions = []
    for fact in some:
        elsewhere = [f"a {draw.choice(COLOURS)} {thing}" for thing in draw.sample(absent, 2)]
        near = f"a {draw.choice([colour for colour in COLOURS if colour != fact.colour])} {fact.thing}"
        others = [f"a {other.colour} {other.thing}" for other in some if other is not fact]
        false = draw.sample([*elsewhere, draw.choice([near, *others])], draw.choice([1, 2]))
        answers = [(f"a {fact.colour} {fact.thing}", 1), *((text, 0) for text in false)]
        draw.shuffle(answers)
        listed = [{"text": text, "label": label} for text, label in answers]
        questions.append({"question": f"What did {fact.who} have?", "answers": listed})
    return {"passage": {"text": passage(some), "questions": questions}}


def wic(draw: random.Random) -> GeneratedRow:
    return compare(draw, SENSES | NEW_SENSES)


def wsc(draw: random.Random) -> GeneratedRow:
    """Sentences that pre-training does not have."""
    return refer(draw, NEW_REFERENCES)
