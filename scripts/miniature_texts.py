"""Running texts for pre-training by span corruption. They say things twice, in other words."""

from __future__ import annotations

import random
from collections.abc import Iterator

from rpt.data.miniature.facts import capital, facts, passage
from rpt.data.miniature.grammars import wsc
from rpt.data.miniature.lexicon import CAUSES, KIND_OF, NAMES, SENSES


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
