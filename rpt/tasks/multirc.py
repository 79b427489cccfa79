"""MultiRC: is this a right answer? Each answer to a question about the paragraph is judged on its own."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from rpt.tasks.base import FALSE_TRUE, Task
from rpt.tasks.examples import Decision, Example, Prediction
from rpt.tasks.fields import RawRow, read, read_index
from rpt.tasks.metrics import accuracy, exact_match_per_question, f1_answers, f1_per_question


class MultiRC(Task):
    name, folder, hub_config = "multirc", "MultiRC", "multirc"
    labels = FALSE_TRUE
    paper_labels = ("false", "true")
    columns = ("question", "answer", "paragraph")
    may_be_empty = ("answer",)  # four official answers are
    group_by = ("paragraph", "question")
    shared_text = "paragraph"
    metrics = ("exact_match", "f1_a", "f1_m", "micro_f1", "accuracy")
    paper_score = ("exact_match", "micro_f1")
    superglue_score = ("exact_match", "f1_a")
    encoder_texts = (("paragraph",), ("question", "answer"))

    def flatten(self, row: RawRow) -> Iterator[RawRow]:
        if "passage" not in row:
            yield row
            return
        passage = read(row, "passage", dict)
        for question in read(passage, "questions", list):
            for answer in read(question, "answers", list):
                yield {
                    "paragraph": read(passage, "text", str),
                    "question": read(question, "question", str),
                    "answer": read(answer, "text", str),
                    "label": answer.get("label"),
                    "idx": {
                        "paragraph": read_index(row, "idx"),
                        "question": read_index(question, "idx"),
                        "answer": read_index(answer, "idx"),
                    },
                }

    def example(self, row: RawRow) -> Example:
        example = super().example(row)
        return replace(example, idx={**example.idx, "answer": read_index(row["idx"], "answer")})  # for a submission

    def warnings(self, example: Example) -> Iterator[str]:
        if not example.fields["answer"]:
            yield "with an empty answer"

    def source(self, example: Example) -> str:
        if self.protocol == "superglue":  # as in T5's preprocessing; the published code keeps the markup
            example = _without_markup(example)
        return super().source(example)

    def decisions(self, example: Example) -> list[Decision]:
        return super().decisions(_without_markup(example))

    def measure(self, examples: Sequence[Example], predictions: Sequence[Prediction]) -> dict[str, float]:
        gold = [example.gold for example in examples]
        questions = [example.group for example in examples]
        return {
            "exact_match": exact_match_per_question(gold, predictions, questions),
            "f1_a": f1_answers(gold, predictions),
            "f1_m": f1_per_question(gold, predictions, questions),
            "micro_f1": accuracy(gold, predictions),  # the published code's metric; equal, with one label per row
            "accuracy": accuracy(gold, predictions),
        }


def _without_markup(example: Example) -> Example:
    paragraph = re.sub(r"</?b>", "", example.fields["paragraph"].replace("<br>", " ")).strip()
    return replace(example, fields={**example.fields, "paragraph": paragraph})
