"""What a task is: raw rows in, text for the backbone out, predictions scored.

There are two protocols. `paper` writes and scores rows as the published code of Residual Prompt Tuning does,
`superglue` as T5 (Raffel et al. 2020, appendix D) and the benchmark do.

A backbone that writes (T5) is given a source and answers in text. An encoder (BERT) is given one or more decisions
and its head makes them; the published code has no such part, so its texts are the same under both protocols, and the
protocol says only how the predictions are scored.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

from rpt.tasks.metrics import accuracy, clean, mean

__all__ = [
    "FALSE_TRUE",
    "PROTOCOLS",
    "Decision",
    "Example",
    "Reading",
    "Row",
    "Task",
    "check_protocol",
    "clean",
    "starred",
]

PROTOCOLS = ("paper", "superglue")
FALSE_TRUE = ("False", "True")

Row = Mapping[str, Any]


def check_protocol(protocol: str) -> None:
    """Raise ValueError unless the protocol is one of PROTOCOLS."""
    if protocol not in PROTOCOLS:
        raise ValueError(f"protocol {protocol!r} is unknown; there are {', '.join(PROTOCOLS)}")


@dataclass(frozen=True)
class Example:
    """One thing to predict.

    Attributes:
        fields: the task's own named fields, the same whichever schema the row came in.
        label: index into the task's labels; None when the row is unlabelled or the task has no labels.
        answers: gold answers of an open task, each once.
        idx: the official index, an int or a dict of ints.
        group: what is scored together: multirc (paragraph, question), record (passage, query), else None.
    """

    fields: Mapping[str, Any]
    label: int | None
    answers: tuple[str, ...] = ()
    idx: int | Mapping[str, int] | None = None
    group: Hashable = None


@dataclass(frozen=True)
class Reading:
    """What an encoder reads at once.

    Attributes:
        texts: one, or two: a passage and what is asked about it. Where they are too long, the first is cut first.
        marks: the words that the question is about, as (which text, start, end): character offsets, end exclusive.
            What is marked is never cut.
    """

    texts: tuple[str, ...]
    marks: tuple[tuple[int, int, int], ...] = ()


@dataclass(frozen=True)
class Decision:
    """What an encoder decides at once: the class of a reading, or which of several readings is right.

    Attributes:
        readings: each gets `head_outputs` numbers from the head; those of all readings, side by side, are the logits.
        label: which of the logits should be the largest; None when that is not known.
    """

    readings: tuple[Reading, ...]
    label: int | None


class Task:
    """A task, mostly declared by class attributes; a subclass overrides only where the task is peculiar.

    Attributes:
        name: our name for it, and T5's task prefix.
        folder: its folder in the official download.
        hub_config: its configuration in the hub's super_glue.
        version: raised whenever a format or metric changes, so that old and new records are told apart.
        labels: canonical label names, in the hub's order.
        columns: the fields, in the order in which `paper` writes them.
        integers: those of the columns that hold integers and not text.
        superglue_columns: the fields in the order in which `superglue` writes them; all of them if empty.
        paper_labels: the words that stand for the labels under `paper`; the labels themselves if empty.
        group_by: the keys of a dict `idx` that make up the group; empty where `idx` is an int.
        metrics: every metric that `score` may report.
        paper_score, superglue_score: the metrics whose mean is each protocol's headline number.
        max_answer_tokens: longest generated answer in tokens; None where the answer is a verbalizer.
        encoder_texts: for an encoder, the fields that make up each text; every column by itself if empty.
        encoder_marks: how many marks each of its readings has.
        encoder_outputs: numbers that a head gives for a reading; None is one for each label.
    """

    name: ClassVar[str]
    folder: ClassVar[str]
    hub_config: ClassVar[str]
    version: ClassVar[int] = 1
    labels: ClassVar[tuple[str, ...]]
    columns: ClassVar[tuple[str, ...]]
    integers: ClassVar[tuple[str, ...]] = ()
    superglue_columns: ClassVar[tuple[str, ...]] = ()
    paper_labels: ClassVar[tuple[str, ...]] = ()
    group_by: ClassVar[tuple[str, ...]] = ()
    metrics: ClassVar[tuple[str, ...]] = ("accuracy",)
    paper_score: ClassVar[tuple[str, ...]] = ("accuracy",)
    superglue_score: ClassVar[tuple[str, ...]] = ("accuracy",)
    max_answer_tokens: ClassVar[int | None] = None
    encoder_texts: ClassVar[tuple[tuple[str, ...], ...]] = ()
    encoder_marks: ClassVar[int] = 0
    encoder_outputs: ClassVar[int | None] = None

    # Rows in

    def parse(self, row: Row) -> list[Example]:
        """The examples in one raw row of the official or the hub's schema.

        Raises:
            ValueError: a field is missing or of the wrong type, or the label is unknown.
        """
        return [self.example(flat) for flat in self.flatten(row)]

    def flatten(self, row: Row) -> Iterable[Row]:
        """The row in the hub's flat schema; tasks that the official files nest override this."""
        return [row]

    def example(self, row: Row) -> Example:
        """One row of the hub's flat schema as an example."""
        idx = self.read(row, "idx", dict if self.group_by else int)
        return Example(
            fields={
                column: self.read(row, column, int) if column in self.integers else self.read(row, column, str).strip()
                for column in self.columns
            },
            label=self.read_label(row),
            idx=idx,
            group=tuple(self.read(idx, key, int) for key in self.group_by) or None,
        )

    def read(self, row: Row, field: str, kind: type) -> Any:
        """The field's value, checked to be of that type."""
        if not isinstance(row, Mapping) or field not in row:
            found = ", ".join(row) if isinstance(row, Mapping) else repr(row)
            raise ValueError(f"{self.name}: field {field!r} is missing, found only {found:.80}")
        value = row[field]
        if not isinstance(value, kind) or isinstance(value, bool):  # a bool is an int to Python, but no index
            found = f"{type(value).__name__} {value!r:.80}"
            raise ValueError(f"{self.name}: field {field!r} should be {kind.__name__}, found {found}")
        return value

    def read_label(self, row: Row) -> int | None:
        """The label's index, given as a name, a bool or an index; None when it is -1, None or missing."""
        value = row.get("label")
        if not self.labels or value is None:
            return None
        names = [label.lower() for label in self.labels]
        if isinstance(value, bool | str):
            if str(value).lower() in names:
                return names.index(str(value).lower())
        elif isinstance(value, int) and -1 <= value < len(names):
            return None if value == -1 else value
        raise ValueError(
            f"{self.name}: field 'label' should be one of {', '.join(self.labels)}, or -1, "
            f"found {type(value).__name__} {value!r:.80}"
        )

    # Text out

    def source(self, example: Example, protocol: str) -> str:
        """The text that the encoder reads."""
        check_protocol(protocol)
        if protocol == "paper":
            return self.join(example, self.columns)
        return f"{self.name} " + self.join(example, self.superglue_columns or self.columns)

    @staticmethod
    def join(example: Example, columns: Iterable[str]) -> str:
        """`name: value` of each column that the example has, with a space between."""
        fields = example.fields
        return " ".join(f"{column}: {fields[column]}" for column in columns if column in fields)

    def targets(self, example: Example, protocol: str) -> list[str]:
        """The texts to train on, each a row of its own; none when the example is not trained on."""
        words = self.verbalizers(protocol)
        return [] if words is None or example.label is None else [words[example.label]]

    def verbalizers(self, protocol: str) -> tuple[str, ...] | None:
        """The word for each label, in label order; None when answers are generated."""
        check_protocol(protocol)
        return self.paper_labels or self.labels if protocol == "paper" else self.labels

    # For an encoder

    def for_encoder(self) -> Task:
        """The task as an encoder is given it: another one only where a label cannot be predicted from this one."""
        return self

    @property
    def head_outputs(self) -> int:
        """How many numbers a head gives for a reading."""
        return len(self.labels) if self.encoder_outputs is None else self.encoder_outputs

    def decisions(self, example: Example) -> list[Decision]:
        """What an encoder has to decide about the example; each is a training row of its own."""
        fields = example.fields
        texts = self.encoder_texts or [(column,) for column in self.columns]
        reading = Reading(tuple(" ".join(fields[column] for column in of_text) for of_text in texts))
        return [Decision((reading,), example.label)]

    def candidates(self, example: Example) -> tuple[str, ...]:
        """What an encoder chooses its answer from."""
        return self.labels

    def weigh(self, logits: Sequence[Sequence[float]]) -> list[float]:
        """What the logits of each of an example's decisions give to each candidate; the softmax makes it
        probabilities."""
        (of_labels,) = logits
        return list(of_labels)

    def decide(self, example: Example, logits: Sequence[Sequence[float]]) -> int | str:
        """The prediction that follows from the logits of each of the example's decisions."""
        weights = self.weigh(logits)
        return weights.index(max(weights))

    # Predictions scored

    def evaluated(self, example: Example, protocol: str) -> bool:
        """Whether the example counts in the evaluation."""
        check_protocol(protocol)
        return True

    def interpret(self, text: str, example: Example, protocol: str) -> int | str | None:
        """A generated text as a prediction: the label's index, or None when the text is no label."""
        words = [clean(word) for word in self.verbalizers(protocol) or ()]
        return words.index(clean(text)) if clean(text) in words else None

    def score(
        self, examples: Sequence[Example], predictions: Sequence[int | str | None], protocol: str
    ) -> dict[str, float]:
        """All metrics in percent, and the protocol's headline number as "score".

        Examples that the protocol does not evaluate are passed over; a None prediction is wrong everywhere.

        Raises:
            ValueError: nothing to evaluate, an example without gold, or lengths that differ.
        """
        pairs = [(e, p) for e, p in zip(examples, predictions, strict=True) if self.evaluated(e, protocol)]
        if not pairs:
            raise ValueError(f"{self.name}: there is nothing to score")
        for example, _ in pairs:
            if example.label is None and not example.answers:
                raise ValueError(f"{self.name}: example {example.idx} has no gold label or answer")
        fractions = self.measure(*zip(*pairs, strict=True), protocol)
        percent = {name: 100.0 * value for name, value in fractions.items()}
        headline = self.paper_score if protocol == "paper" else self.superglue_score
        return percent | {"score": mean([percent[name] for name in headline])}

    def credit(self, example: Example, prediction: int | str | None, protocol: str) -> float:
        """What one prediction earns, 0 to 1: right or wrong; ReCoRD the mean of exact match and token F1."""
        return float(prediction is not None and prediction == example.label)

    def measure(self, examples: Sequence[Example], predictions: Sequence[Any], protocol: str) -> dict[str, float]:
        """The metrics of evaluated, labelled examples, as fractions."""
        return {"accuracy": accuracy([example.label for example in examples], predictions)}


def starred(texts: Sequence[str], spans: Sequence[tuple[int, int, int]]) -> Reading:
    """The texts with *stars* around each span (which text, start, end); the words inside of them are the marks."""
    marked, marks = [], {}
    for which, text in enumerate(texts):
        own = [span for span in spans if span[0] == which]
        # One span may lie in the other ("their" in "their mothers"), so stars that meet are sorted from the outer in.
        opening = [(start, 1, -end) for _, start, end in own]
        closing = [(end, 0, -start) for _, start, end in own]
        stars = sorted(opening + closing)
        for span, first, last in zip(own, opening, closing, strict=True):
            marks[span] = (which, span[1] + stars.index(first) + 1, span[2] + stars.index(last))
        cuts = [0, *(at for at, *_ in stars), len(text)]
        marked.append("*".join(text[start:end] for start, end in pairwise(cuts)))
    return Reading(tuple(marked), tuple(marks[span] for span in spans))
