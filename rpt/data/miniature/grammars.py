"""One grammar for each task. It is a function that draws a fresh row in the official schema, without its idx.

The backbones are pre-trained on these; held_out.py replaces five of them."""

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
    OPEN,
    PLACES,
    REFERENCES,
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
    return compare(draw, SENSES)


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
    return refer(draw, REFERENCES)


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
