"""ReCoRD: which entity fills the query's @placeholder?

T5 generates the answer. An encoder scores each entity in place of the placeholder and answers with the best one.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from rpt.tasks.base import Task
from rpt.tasks.examples import Decision, Example, Reading
from rpt.tasks.fields import RawRow, read, read_index, read_text
from rpt.tasks.metrics import clean


class ReCoRD(Task):
    name, folder, hub_config = "record", "ReCoRD", "record"
    labels = ()
    columns = ("passage", "query")  # and entities
    group_by = ("passage", "query")
    shared_text = "passage"
    metrics = ("exact_match", "f1")
    paper_score = superglue_score = metrics
    max_answer_tokens = 10
    encoder_outputs = 2  # no and yes

    def flatten(self, row: RawRow) -> Iterator[RawRow]:
        if not isinstance(row.get("passage"), dict) and "qas" not in row:
            yield row
            return
        passage = read(row, "passage", dict)
        text = read(passage, "text", str)
        entities = [_entity(text, span) for span in read(passage, "entities", list)]
        for question in read(row, "qas", list):
            query = read(question, "query", str)
            answers = read(question, "answers", list) if "answers" in question else []
            yield {
                "passage": text,
                "query": query,
                "entities": entities,
                "answers": [read(answer, "text", str) for answer in answers],
                "idx": {"passage": read_index(row, "idx"), "query": read_index(question, "idx")},
            }

    def example(self, row: RawRow) -> Example:
        example = super().example(row)
        entities = self._each_once(row, "entities")
        if not entities:
            raise ValueError("field 'entities' is empty; there is nothing to choose an answer from")
        if "@placeholder" not in (query := example.fields["query"]):
            raise ValueError(f"field 'query' has no @placeholder, found {query!r:.80}")
        answers = self._each_once(row, "answers") if "answers" in row else ()
        return replace(example, fields={**example.fields, "entities": entities}, answers=answers)

    def warnings(self, example: Example) -> Iterator[str]:
        if example.answers and not any(_is_answer(entity, example) for entity in example.fields["entities"]):
            yield "with answers that are none of its entities"

    def _each_once(self, row: RawRow, field: str) -> tuple[str, ...]:
        """The field's texts, each once and sorted.

        T5's rows are sorted, and so are the hub's answers; the hub's entities come from a set, in no order.
        """
        texts = read(row, field, list)
        return tuple(sorted({read_text({field: text}, field) for text in texts}))

    def source(self, example: Example) -> str:
        passage, query, entities = (example.fields[column] for column in (*self.columns, "entities"))
        if self.protocol == "paper":  # the space before the first colon is in the published code
            return f"passage : {passage} query: {query} entities: {'; '.join(entities)}"
        passage = _without_highlights(passage)
        return f"record query: {query} entities: {', '.join(entities)} passage: {passage}"

    def targets(self, example: Example) -> list[str]:
        if self.protocol == "paper" and example.answers:
            return ["; ".join(example.answers)]
        return super().targets(example)

    def decisions(self, example: Example) -> list[Decision]:
        passage, query, entities = (example.fields[column] for column in (*self.columns, "entities"))
        passage = _without_highlights(passage)
        return [
            Decision(
                (Reading((passage, query.replace("@placeholder", entity))),),
                int(_is_answer(entity, example)) if example.answers else None,
            )
            for entity in entities
        ]

    def candidates(self, example: Example) -> tuple[str, ...]:
        return example.fields["entities"]

    def weigh(self, logits: Sequence[Sequence[float]]) -> list[float]:
        """The log odds of each entity; their softmax is the probability that it fits, given that exactly one does."""
        return [yes - no for no, yes in logits]

    def decide(self, example: Example, logits: Sequence[Sequence[float]]) -> str:
        weights = self.weigh(logits)
        return self.candidates(example)[weights.index(max(weights))]

    def is_answer(self, text: str, example: Example) -> bool:
        """Whether the text is an entity of the row, or a list that begins with one."""
        entities = list(map(clean, example.fields["entities"]))
        return clean(text) in entities or clean(text.split(";")[0]) in entities


def _entity(text: str, span: RawRow) -> str:
    """The text of a span; the official files give character offsets, end inclusive."""
    start, end = read_index(span, "start"), read_index(span, "end")
    if not start <= end < len(text):
        raise ValueError(
            f"field 'entities' should have spans within the {len(text)} characters of its text, found {start} to {end}"
        )
    return text[start : end + 1]


def _is_answer(entity: str, example: Example) -> bool:
    """Whether the scorer accepts the entity: case, punctuation and articles do not count."""
    return clean(entity) in map(clean, example.answers)


def _without_highlights(passage: str) -> str:
    """The article's bullet points as sentences, by T5's rule."""
    passage = re.sub(r"""([.?!"'])\n@highlight\n""", r"\1 ", passage)
    return passage.replace("\n@highlight\n", ". ")
