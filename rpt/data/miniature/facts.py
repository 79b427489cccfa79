"""Who did what to which thing. Most grammars write about such facts and what can be claimed of them."""

from __future__ import annotations

import random
from dataclasses import dataclass

from rpt.data.miniature.lexicon import COLOURS, NAMES, PLACES, THINGS, VERBS


def capital(sentence: str) -> str:
    """The sentence with a capital letter and a full stop."""
    return sentence[0].upper() + sentence[1:] + "."


class Fact:
    """Who did what to which thing, of which colour, where."""

    def __init__(self, draw: random.Random, who: str, thing: str):
        self.who, self.thing = who, thing
        self.verb = draw.choice(VERBS)
        self.colour, self.place = draw.choice(COLOURS), draw.choice(PLACES)

    def sentence(self) -> str:
        return f"{self.who} {self.verb[1]} a {self.colour} {self.thing} in the {self.place}."


@dataclass(frozen=True)
class Claim:
    """A statement about one thing: who had it, its colour or its place; true or false."""

    about: str  # "who", "colour" or "place"
    value: str
    fact: Fact
    true: bool

    def question(self) -> str:
        thing = self.fact.thing
        return {
            "who": f"did {self.value} {self.fact.verb[0]} a {thing}",
            "colour": f"was the {thing} {self.value}",
            "place": f"was the {thing} in the {self.value}",
        }[self.about]

    def sentence(self, thing: str | None = None) -> str:
        """The claim in different words from the passage; `thing` may name the thing by its kind."""
        thing = thing or self.fact.thing
        return {
            "who": f"{self.value} {self.fact.verb[2]} a {thing}.",
            "colour": f"The {thing} was {self.value}.",
            "place": f"The {thing} was in the {self.value}.",
        }[self.about]


def facts(draw: random.Random, n: int) -> list[Fact]:
    """n facts about different people and different things."""
    pairs = zip(draw.sample(NAMES, n), draw.sample(THINGS, n), strict=True)
    return [Fact(draw, who, thing) for who, thing in pairs]


def passage(some: list[Fact]) -> str:
    return " ".join(fact.sentence() for fact in some)


def claim(draw: random.Random, some: list[Fact], p_true: float) -> Claim:
    """A claim about one of the facts; a false claim often takes its value from another fact."""
    fact, about = draw.choice(some), draw.choice(["who", "colour", "place"])
    right = getattr(fact, about)
    if draw.random() < p_true:
        return Claim(about, right, fact, True)
    nearby = [getattr(other, about) for other in some if getattr(other, about) != right]
    everywhere = {"who": NAMES, "colour": COLOURS, "place": PLACES}[about]
    pool = nearby if nearby and draw.random() < 0.5 else [value for value in everywhere if value != right]
    return Claim(about, draw.choice(pool), fact, False)
