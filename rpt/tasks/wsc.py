"""WSC: who does the pronoun mean? The answer is generated and compared with a noun (span 1); the pronoun is span 2.

Only rows with the right noun (label 1) say what to generate, so only they are training rows. An encoder cannot generate
the noun: on all rows, it decides whether the pronoun refers to span 1.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import ClassVar

from rpt.tasks.base import FALSE_TRUE, Task
from rpt.tasks.examples import Decision, Example, Prediction, starred
from rpt.tasks.fields import RawRow, read
from rpt.tasks.metrics import accuracy, exact_match, mean

# Words that T5's rule ignores: 21 in its public sources, without "its".
DETERMINERS = frozenset(
    "a an each every few her his many much my our some that the their these this those which whose your".split()
)


class WSC(Task):
    name, folder = "wsc", "WSC"
    hub_config = "wsc.fixed"  # in the hub's plain `wsc`, some spans are not in the text
    labels = FALSE_TRUE
    columns = ("text", "span1_index", "span1_text", "span2_index", "span2_text")
    integers = ("span1_index", "span2_index")
    metrics: ClassVar[tuple[str, ...]] = ("exact_match", "accuracy")
    paper_score: ClassVar[tuple[str, ...]] = ("exact_match",)
    superglue_score = ("accuracy",)
    max_answer_tokens: ClassVar[int | None] = 16

    def flatten(self, row: RawRow) -> list[RawRow]:
        return [{**row, **read(row, "target", dict)}] if "target" in row else [row]

    def example(self, row: RawRow) -> Example:
        example = super().example(row)
        count = len(example.fields["text"].split())
        for field in self.integers:
            if example.fields[field] >= count:
                raise ValueError(f"field {field!r} should be one of the text's {count} words, found {row[field]}")
        (text,) = starred([example.fields["text"]], [(0, *self.span(example, 2))]).texts
        answers = (example.fields["span1_text"],) if example.label == 1 else ()
        return replace(example, fields={**example.fields, "starred": text}, answers=answers)

    def subject(self, example: Example) -> str:
        """The text's first two words. A text has rows for several nouns, and a twin in which one changed word flips the
        answer: 230 of the 236 official texts with a twin begin with the same two words as it."""
        return " ".join(re.findall(r"\w+", example.fields["text"].casefold())[:2])

    def warnings(self, example: Example) -> Iterator[str]:
        if not _occurrences(example.fields["span1_text"], example.fields["text"]):
            yield "with a noun that is not in the text as it is written"

    @staticmethod
    def span(example: Example, number: int) -> tuple[int, int]:
        """Character offsets of span 1 or 2: its occurrence nearest to its word index.

        Nearest, not at the index: one index of the benchmark is off by one, and words include punctuation. If the
        span's words only occur one by one ("Kamenev and Zinoviev" in two official test rows), the offsets are those of
        its first word.

        Raises:
            ValueError: it is not in the text.
        """
        text, phrase = example.fields["text"], example.fields[f"span{number}_text"]
        matches = _occurrences(phrase, text) or _scattered(phrase, text)
        if not matches:
            raise ValueError(f"field 'span{number}_text' is not in the text, found {phrase!r:.80}: {text!r:.80}")

        def distance(match: re.Match[str]) -> int:
            index = len(text[: match.start() + 1].split()) - 1  # of the word in which the match begins
            return abs(index - example.fields[f"span{number}_index"])

        return min(matches, key=distance).span()

    def source(self, example: Example) -> str:
        starred = example.fields["starred"]
        return starred if self.protocol == "paper" else f"wsc: {starred}"

    @property
    def verbalizers(self) -> tuple[str, ...] | None:
        return None

    def evaluated(self, example: Example) -> bool:
        return self.protocol == "superglue" or example.label == 1

    def find_label(self, text: str, example: Example) -> int | None:
        """Whether the text names the noun, by T5's rule; also under `paper`, which scores the text itself."""
        return _same_referent(text, example.fields["span1_text"])

    def interpret(self, text: str, example: Example) -> Prediction:
        return text if self.protocol == "paper" else self.find_label(text, example)

    def for_encoder(self) -> Task:
        return JudgedWSC(self.protocol)

    def credit(self, example: Example, prediction: Prediction) -> float:
        if self.protocol == "paper":
            return exact_match(prediction, example.answers)
        return super().credit(example, prediction)

    def measure(self, examples: Sequence[Example], predictions: Sequence[Prediction]) -> dict[str, float]:
        if self.protocol == "paper":
            pairs = zip(predictions, examples, strict=True)
            return {"exact_match": mean([exact_match(text, example.answers) for text, example in pairs])}
        return {"accuracy": accuracy([example.gold for example in examples], predictions)}


class JudgedWSC(WSC):
    """WSC for an encoder: does the pronoun refer to the noun? Every row is trained on and evaluated, and the score is
    accuracy, as in the benchmark, under either protocol. The paper did the same: its BERT rows give 63.5, the majority
    class of all rows."""

    metrics = paper_score = ("accuracy",)
    max_answer_tokens = None
    encoder_pairs = False
    encoder_marks = 2
    verbalizers, evaluated = Task.verbalizers, Task.evaluated
    find_label, interpret, credit, measure = Task.find_label, Task.interpret, Task.credit, Task.measure

    def example(self, row: RawRow) -> Example:
        example = super().example(row)
        self.span(example, 1)  # raises now, while the message can still name the row
        return example

    def decisions(self, example: Example) -> list[Decision]:
        """The text, with stars around noun and pronoun."""
        reading = starred([example.fields["text"]], [(0, *self.span(example, number)) for number in (1, 2)])
        return [Decision((reading,), example.label)]


def _occurrences(phrase: str, text: str) -> list[re.Match[str]]:
    """Matches of the phrase's words in a row, whatever punctuation or space separates them."""
    parts = re.findall(r"\w+", phrase)
    return list(re.finditer(r"\b" + r"\W+".join(parts) + r"\b", text, re.IGNORECASE)) if parts else []


def _scattered(phrase: str, text: str) -> list[re.Match[str]]:
    """Matches of the phrase's first word, if all of its words occur somewhere in the text."""
    matches = [_occurrences(word, text) for word in re.findall(r"\w+", phrase)]
    return matches[0] if matches and all(matches) else []


def _same_referent(text: str, noun: str) -> int | None:
    """T5's rule for an answer (its public postprocessor `wsc_simple`): 1 if the words of one contain the other's.

    It compares in lower case and without determiners; punctuation stays. If only one of them has an apostrophe the
    result is 0: "Bob" is not "Bob's hat". It is None if no word is left: an empty answer must not pass as a right "no".
    """
    ours, theirs = (
        [word for word in answer.strip().lower().split(" ") if word not in DETERMINERS] for answer in (text, noun)
    )
    if not any(ours):
        return None
    if any("'" in word for word in ours) != any("'" in word for word in theirs):
        return 0
    return int(set(ours) <= set(theirs) or (bool(theirs) and set(theirs) <= set(ours)))
