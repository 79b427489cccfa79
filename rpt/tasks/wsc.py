"""WSC: who or what does the pronoun (span 2) mean? The answer is generated and compared with a noun (span 1).

Only rows whose noun is the right one (label 1) tell what to generate, so only they are trained on.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from rpt.tasks.base import FALSE_TRUE, Example, Row, Task, check_protocol
from rpt.tasks.metrics import accuracy, clean, exact_match, mean


class WSC(Task):
    name, folder = "wsc", "WSC"
    hub_config = "wsc.fixed"  # in the hub's plain `wsc`, some spans are not in the text
    labels = FALSE_TRUE
    columns = ("text", "span1_index", "span1_text", "span2_index", "span2_text")
    integers = ("span1_index", "span2_index")
    metrics = ("exact_match", "accuracy")
    paper_score = ("exact_match",)
    superglue_score = ("accuracy",)
    max_answer_tokens = 16

    def flatten(self, row: Row) -> list[Row]:
        return [{**row, **self.read(row, "target", dict)}] if "target" in row else [row]

    def example(self, row: Row) -> Example:
        example = super().example(row)
        starred = self._star(**{name: example.fields[name] for name in ("text", "span2_text", "span2_index")})
        answers = (example.fields["span1_text"],) if example.label == 1 else ()
        return replace(example, fields={**example.fields, "starred": starred}, answers=answers)

    def _star(self, text: str, span2_text: str, span2_index: int) -> str:
        """The text with *stars* around the pronoun that stands nearest to its index among the words.

        Nearest, not at: one index of the benchmark is off by one, and punctuation clings to words.
        """
        words = re.findall(r"\w+", span2_text)
        found = list(re.finditer(r"\b" + r"\W+".join(words) + r"\b", text, re.IGNORECASE)) if words else []
        if not found:
            raise ValueError(f"wsc: field 'span2_text' is not in the text, found {span2_text!r}: {text!r:.80}")

        def distance(match: re.Match[str]) -> int:
            index = len(text[: match.start() + 1].split()) - 1  # of the word that the match begins in
            return abs(index - span2_index)

        start, end = min(found, key=distance).span()
        return f"{text[:start]}*{text[start:end]}*{text[end:]}"

    def source(self, example: Example, protocol: str) -> str:
        check_protocol(protocol)
        starred = example.fields["starred"]
        return starred if protocol == "paper" else f"wsc: {starred}"

    def targets(self, example: Example, protocol: str) -> list[str]:
        check_protocol(protocol)
        return list(example.answers)

    def verbalizers(self, protocol: str) -> None:
        check_protocol(protocol)

    def evaluated(self, example: Example, protocol: str) -> bool:
        check_protocol(protocol)
        return protocol == "superglue" or example.label == 1

    def interpret(self, text: str, example: Example, protocol: str) -> int | str | None:
        check_protocol(protocol)
        return text if protocol == "paper" else _same_referent(text, example.fields["span1_text"])

    def credit(self, example: Example, prediction: int | str | None, protocol: str) -> float:
        if protocol == "paper":
            return exact_match(prediction, example.answers)
        return super().credit(example, prediction, protocol)

    def measure(self, examples: Sequence[Example], predictions: Sequence[Any], protocol: str) -> dict[str, float]:
        if protocol == "paper":
            pairs = zip(predictions, examples, strict=True)
            return {"exact_match": mean([exact_match(text, example.answers) for text, example in pairs])}
        return {"accuracy": accuracy([example.label for example in examples], predictions)}


def _same_referent(text: str, noun: str) -> int | None:
    """T5's rule: 1 if the words of one contain the other's, else 0; None if no word is left to judge by."""
    ours, theirs = set(clean(text).split()), set(clean(noun).split())
    if not ours or not theirs:
        return None  # saying nothing must not pass as a right "no"
    return int(ours <= theirs or theirs <= ours)
