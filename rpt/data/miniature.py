"""SuperGLUE in miniature: eight small tasks made by our own grammars from a seed, in the official schemas.

Every text is about one small world (people, things, places, causes, words with two senses), so that a backbone
of a few million parameters can be pre-trained on it in an hour or two on two cores and prompts can be tuned in minutes.
The rows are ours and free to share. Scores on them are miniature scores: never comparable with SuperGLUE's.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

Row = dict[str, Any]

SPLIT_SIZES = {  # train, val; about a tenth of the benchmark's, WSC and CB as small as there
    "boolq": (900, 300),
    "cb": (250, 112),
    "copa": (400, 200),
    "multirc": (160, 60),  # paragraphs, about six answers each
    "record": (700, 200),
    "rte": (800, 300),
    "wic": (800, 300),
    "wsc": (550, 200),
}

WOMEN = "Ada Clara Dora Edith Flora Greta Hilda Ida".split()
MEN = "Anton Bruno Carl David Emil Felix Gustav Hugo".split()
NAMES = WOMEN + MEN
KINDS = {
    "animal": "dog cat horse".split(),
    "fruit": "apple pear plum".split(),
    "tool": "hammer saw shovel".split(),
    "instrument": "violin flute drum".split(),
    "vehicle": "bicycle truck boat".split(),
    "garment": "coat scarf hat".split(),
}
THINGS = [thing for things in KINDS.values() for thing in things]
KIND_OF = {thing: kind for kind, things in KINDS.items() for thing in things}
COLOURS = "red blue green black white yellow".split()
PLACES = "kitchen garden cellar attic garage library market school".split()
VERBS = [  # (infinitive, past, past of a synonym)
    ("buy", "bought", "purchased"),
    ("find", "found", "discovered"),
    ("repair", "repaired", "fixed"),
    ("hide", "hid", "concealed"),
    ("wash", "washed", "cleaned"),
]
FACTIVE = "knew realized remembered noticed understood learned".split()
OPEN = "thought hoped guessed suspected feared expected".split()
COUNTERFACTIVE = ["wrongly believed", "only pretended", "falsely claimed", "lied", "merely dreamed"]
CAUSES = [  # (cause, effect); the subject stands for any person
    ("it rained all night", "the street was wet"),
    ("the sun was hot", "the snow melted"),
    ("the lamp broke", "the room went dark"),
    ("the oven was too hot", "the bread burned"),
    ("{} forgot the keys", "{} waited at the door"),
    ("{} ran in the race", "{} was out of breath"),
    ("{} studied for weeks", "{} passed the exam"),
    ("{} slipped on the ice", "{} broke a leg"),
    ("{} heard a joke", "{} laughed loudly"),
    ("{} cut an onion", "{} had wet eyes"),
    ("{} planted seeds", "{} picked tomatoes later"),
    ("{} won the prize", "{} gave a party"),
    ("{} broke the vase", "{} paid for the damage"),
    ("{} caught a cold", "{} stayed in bed"),
    ("{} told a lie", "{} lost a friend"),
    ("{} practised the piano", "{} played without mistakes"),
]
SENSES = {  # word: contexts of its first sense, contexts of its second
    "bank": (
        ["{} sat on the bank of the river", "{} fished from the grassy bank", "{} swam to the far bank"],
        ["{} took money from the bank", "{} opened an account at the bank", "{} asked the bank for a loan"],
    ),
    "bat": (
        ["{} saw a bat fly at night", "{} heard a bat in the cave", "{} fed the bat some insects"],
        ["{} hit the ball with a bat", "{} swung the wooden bat", "{} bought a bat for the game"],
    ),
    "spring": (
        ["{} planted flowers in spring", "{} waited for the warm spring", "{} married in early spring"],
        ["{} bent the metal spring", "{} put a new spring in the clock", "{} fixed the spring of the door"],
    ),
    "ring": (
        ["{} wore a gold ring", "{} lost the wedding ring", "{} put a ring on the finger"],
        ["{} heard the phone ring", "{} woke at the ring of a bell", "{} waited for the ring of the alarm"],
    ),
    "match": (
        ["{} lit the candle with a match", "{} struck a match in the dark", "{} burned the paper with a match"],
        ["{} won the tennis match", "{} watched the football match", "{} lost the last match of the season"],
    ),
    "star": (
        ["{} saw a star in the night sky", "{} counted each star above", "{} named the brightest star"],
        ["{} met a star of the film", "{} became a star on the stage", "{} asked the star to sing"],
    ),
    "trunk": (
        ["{} climbed the trunk of the tree", "{} cut the thick trunk", "{} leaned on the mossy trunk"],
        ["{} packed clothes into the trunk", "{} locked the old trunk", "{} lifted the trunk of the car"],
    ),
    "nail": (
        ["{} hammered a nail into the wall", "{} bent the rusty nail", "{} hung the picture on a nail"],
        ["{} painted a nail pink", "{} bit a nail in fear", "{} cut the nail of the thumb"],
    ),
}
REFERENCES = [  # (sentence with two people A, B and a pronoun, the person the pronoun stands for)
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
    """Something said of one thing: who had it, its colour or its place; true of the passage or not."""

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
        """The claim in other words than the passage's; `thing` may name the thing by its kind."""
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
    """A claim about one of the facts; a false one often takes its value from another of them."""
    fact, about = draw.choice(some), draw.choice(["who", "colour", "place"])
    right = getattr(fact, about)
    if draw.random() < p_true:
        return Claim(about, right, fact, True)
    nearby = [getattr(other, about) for other in some if getattr(other, about) != right]
    everywhere = {"who": NAMES, "colour": COLOURS, "place": PLACES}[about]
    pool = nearby if nearby and draw.random() < 0.5 else [value for value in everywhere if value != right]
    return Claim(about, draw.choice(pool), fact, False)


def boolq(draw: random.Random) -> Row:
    some = facts(draw, draw.choice([1, 2]))
    asked = claim(draw, some, 0.6)
    return {"question": asked.question(), "passage": passage(some), "label": asked.true}


def rte(draw: random.Random) -> Row:
    some = facts(draw, draw.choice([1, 1, 2]))
    claimed = claim(draw, some, 0.5)
    # Sometimes the kind stands for the thing, where it can only mean this one.
    kind = KIND_OF[claimed.fact.thing]
    alone = [KIND_OF[fact.thing] for fact in some].count(kind) == 1
    hypothesis = claimed.sentence(kind if alone and draw.random() < 0.4 else None)
    label = "entailment" if claimed.true else "not_entailment"
    return {"premise": passage(some), "hypothesis": hypothesis, "label": label}


def cb(draw: random.Random) -> Row:
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


def copa(draw: random.Random) -> Row:
    right, wrong = draw.sample(CAUSES, 2)
    who = draw.choice(NAMES)
    asks_cause = draw.random() < 0.5
    premise, answer, distractor = (right[1], right[0], wrong[0]) if asks_cause else (right[0], right[1], wrong[1])
    label = draw.randrange(2)
    choices = [distractor, distractor]
    choices[label] = answer
    premise, *choices = (capital(text.format(who)) for text in (premise, *choices))
    question = "cause" if asks_cause else "effect"
    return {"premise": premise, "choice1": choices[0], "choice2": choices[1], "question": question, "label": label}


def multirc(draw: random.Random) -> Row:
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


def record(draw: random.Random) -> Row:
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


def wic(draw: random.Random) -> Row:
    word = draw.choice(sorted(SENSES))
    label = draw.random() < 0.5
    sense = draw.randrange(2)
    if label:
        contexts = draw.sample(SENSES[word][sense], 2)
    else:
        contexts = [draw.choice(SENSES[word][sense]), draw.choice(SENSES[word][1 - sense])]
    first, second = (capital(text.format(who)) for text, who in zip(contexts, draw.sample(NAMES, 2), strict=True))
    row = {"word": word, "sentence1": first, "sentence2": second, "label": label}
    for i, sentence in ((1, first), (2, second)):
        start = f"{sentence} ".index(f" {word}") + 1
        row |= {f"start{i}": start, f"end{i}": start + len(word)}
    return row


def wsc(draw: random.Random) -> Row:
    template, referent = draw.choice(REFERENCES)
    people, pronoun = draw.choice([(WOMEN, "she"), (MEN, "he")])
    a, b = draw.sample(people, 2)
    text = capital(template.format(A=a, B=b, p=pronoun, thing=draw.choice(THINGS)))
    label = draw.random() < 0.5
    name = {"A": a, "B": b}[referent] if label else {"A": b, "B": a}[referent]
    words = text.split()
    target = {"span1_index": words.index(name), "span1_text": name}
    target |= {"span2_index": words.index(pronoun), "span2_text": pronoun}
    return {"text": text, "target": target, "label": label}


GRAMMARS: dict[str, Callable[[random.Random], Row]] = {
    grammar.__name__: grammar for grammar in (boolq, cb, copa, multirc, record, rte, wic, wsc)
}


def rows(task: str, split: str, seed: int = 0) -> list[Row]:
    """The rows of a miniature task in the official SuperGLUE schema.

    Args:
        task: one of the eight names, e.g. "boolq".
        split: "train" or "val"; no text of the one stands in the other.
        seed: of the whole benchmark; 0 is the one that the committed records use.
    """
    n_train, n_val = SPLIT_SIZES[task]
    draw = random.Random(f"miniature {task} {seed}")
    made, seen = [], set()
    while len(made) < n_train + n_val:
        made_row = row(task, draw)
        if (key := repr(made_row)) not in seen:
            seen.add(key)
            made.append(made_row)
    chosen = made[n_val:] if split == "train" else made[:n_val]
    return [_numbered(made_row, i) for i, made_row in enumerate(chosen)]


def row(task: str, draw: random.Random) -> Row:
    """One fresh row of a task."""
    return _numbered(GRAMMARS[task](draw), 0)


def _numbered(row: Row, i: int) -> Row:
    """The row with the official `idx` at each level."""
    for question in row.get("qas", []):
        question["idx"] = i
    if "questions" in (nested := row.get("passage", "")):
        for q, question in enumerate(nested["questions"], start=10 * i):
            question["idx"] = q
            for a, answer in enumerate(question["answers"], start=10 * q):
                answer["idx"] = a
    return row | {"idx": i}


def text(draw: random.Random) -> str:
    """A short running text about the same world, for span corruption: things are said twice, in other words."""
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
    """Running texts without end, from a seed."""
    draw = random.Random(f"miniature text {seed}")
    while True:
        yield text(draw)
