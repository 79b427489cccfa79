"""One grammar for each task. It is a function that draws a fresh row in the official schema, without its idx.

A prompt can elicit what a backbone has learned, or adapt it to something new. The miniature has both: BoolQ, ReCoRD and
RTE are drawn as in pre-training (elicit), CB, MultiRC and WSC are not (adapt): the embedded backbones have met them in
another form only (scripts/pretraining_grammars.py). Half of COPA's causes and half of WiC's words are new.
"""

from __future__ import annotations

import random
from typing import Any

from rpt.data.miniature.facts import capital, claim, facts, passage
from rpt.data.miniature.lexicon import (
    CAUSES,
    COLOURS,
    COUNTERFACTIVE,
    FACTIVE,
    KIND_OF,
    MEN,
    NAMES,
    NEW_CAUSES,
    NEW_REFERENCES,
    NEW_SENSES,
    OPEN,
    PLACES,
    SENSES,
    THINGS,
    WOMEN,
)

GeneratedRow = dict[str, Any]


def boolq(draw: random.Random) -> GeneratedRow:
    some = facts(draw, draw.choice([1, 2]))
    asked = claim(draw, some, 0.6)
    return {"question": asked.question(), "passage": passage(some), "label": asked.true}


def rte(draw: random.Random) -> GeneratedRow:
    some = facts(draw, draw.choice([1, 1, 2]))
    claimed = claim(draw, some, 0.5)
    # Sometimes name the thing by its kind, if that is unambiguous.
    kind = KIND_OF[claimed.fact.thing]
    alone = [KIND_OF[fact.thing] for fact in some].count(kind) == 1
    hypothesis = claimed.sentence(kind if alone and draw.random() < 0.4 else None)
    label = "entailment" if claimed.true else "not_entailment"
    return {"premise": passage(some), "hypothesis": hypothesis, "label": label}


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


def explain(draw: random.Random, causes: list[tuple[str, str]]) -> GeneratedRow:
    """A row of COPA from two of the (cause, effect) pairs."""
    right, wrong = draw.sample(causes, 2)
    who = draw.choice(NAMES)
    asks_cause = draw.random() < 0.5
    premise, answer, distractor = (right[1], right[0], wrong[0]) if asks_cause else (right[0], right[1], wrong[1])
    label = draw.randrange(2)
    choices = [distractor, distractor]
    choices[label] = answer
    premise, *choices = (capital(text.format(who)) for text in (premise, *choices))
    question = "cause" if asks_cause else "effect"
    return {"premise": premise, "choice1": choices[0], "choice2": choices[1], "question": question, "label": label}


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


def record(draw: random.Random) -> GeneratedRow:
    some = facts(draw, draw.choice([2, 2, 3]))
    first, highlight = some[:-1], some[-1]
    text = passage(first) + f"\n@highlight\n{highlight.sentence()}"
    asked = draw.choice(some)
    query = f"@placeholder {asked.verb[2]} the {asked.colour} {asked.thing}."
    at = text.index(asked.who)
    spans = sorted((text.index(f.who), text.index(f.who) + len(f.who) - 1) for f in some)
    answer = {"start": at, "end": at + len(asked.who) - 1, "text": asked.who}
    entities = [{"start": start, "end": end} for start, end in spans]
    return {"passage": {"text": text, "entities": entities}, "qas": [{"query": query, "answers": [answer]}]}


def wic(draw: random.Random) -> GeneratedRow:
    return compare(draw, SENSES | NEW_SENSES)


def compare(draw: random.Random, senses: dict[str, tuple[list[str], list[str]]]) -> GeneratedRow:
    """A row of WiC about one of the words in `senses`."""
    word = draw.choice(sorted(senses))
    label = draw.random() < 0.5
    sense = draw.randrange(2)
    if label:
        contexts = draw.sample(senses[word][sense], 2)
    else:
        contexts = [draw.choice(senses[word][sense]), draw.choice(senses[word][1 - sense])]
    first, second = (capital(text.format(who)) for text, who in zip(contexts, draw.sample(NAMES, 2), strict=True))
    row = {"word": word, "sentence1": first, "sentence2": second, "label": label}
    for i, sentence in ((1, first), (2, second)):
        start = f"{sentence} ".index(f" {word}") + 1
        row |= {f"start{i}": start, f"end{i}": start + len(word)}
    return row


def wsc(draw: random.Random) -> GeneratedRow:
    """Sentences that pre-training does not have."""
    return refer(draw, NEW_REFERENCES)


def refer(draw: random.Random, references: list[tuple[str, str]]) -> GeneratedRow:
    """A row of WSC from one of the (sentence, referent of its pronoun) pairs."""
    template, referent = draw.choice(references)
    people, pronoun = draw.choice([(WOMEN, "she"), (MEN, "he")])
    a, b = draw.sample(people, 2)
    text = capital(template.format(A=a, B=b, p=pronoun, thing=draw.choice(THINGS)))
    label = draw.random() < 0.5
    name = {"A": a, "B": b}[referent] if label else {"A": b, "B": a}[referent]
    tokens = text.split()
    target = {"span1_index": tokens.index(name), "span1_text": name}
    target |= {"span2_index": tokens.index(pronoun), "span2_text": pronoun}
    return {"text": text, "target": target, "label": label}
