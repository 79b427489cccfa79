"""What a task is: text format, verbalizer, metric. Raw rows in, text for the backbone out, predictions scored.

There are two protocols. `paper` writes and scores rows as the published code of Residual Prompt Tuning does,
`superglue` as T5 (Raffel et al. 2020, appendix D) and the benchmark do.

A T5 or a decoder reads a source and answers in text. An encoder (BERT) reads one or more decisions, and its head makes
them. The published code has no encoder, so an encoder reads the same texts under both protocols; the protocol only
decides how predictions are scored.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar

from rpt.tasks.examples import Decision, Example, Prediction, Reading
from rpt.tasks.fields import RawRow, read, read_index, read_label, read_text
from rpt.tasks.metrics import accuracy, clean, exact_match, macro_f1, mean, token_f1

PROTOCOLS = ("paper", "superglue")
FALSE_TRUE = ("False", "True")


class Task:
    """A task under one protocol. Class attributes declare most of it; a subclass overrides a method only where the task
    differs from the others.

    A prediction is the index of a label, a text if answers are open, or None if the output is no answer of the task.
    Shapes: D decisions of an example, C candidates that an encoder chooses from.

    Args:
        protocol: one of PROTOCOLS.

    Raises:
        ValueError: there is no such protocol.

    Attributes:
        name: our name for it, and T5's task prefix.
        folder: its folder in the official download.
        hub_config: its configuration in the hub's super_glue, or in data.repo; None if that has only one.
        labels: canonical label names, in the hub's order.
        columns: the fields, in the order in which `paper` writes them.
        integers: the columns that hold integers instead of text.
        may_be_empty: the columns whose text may be empty, as in some official rows.
        superglue_columns: the fields in the order in which `superglue` writes them; all of them if empty.
        paper_labels: the verbalizers of the labels under `paper`; the labels themselves if empty.
        group_by: the keys of a dict `idx` that make up the group; empty if `idx` is an int.
        shared_text: the column whose text (a passage, a word) several rows share; see `subject`.
        metrics: every metric that `score` may report.
        paper_score, superglue_score: the metrics whose mean is each protocol's headline number.
        max_answer_tokens: longest generated answer in tokens; None if the answer is a verbalizer.
        encoder_texts: the fields that form each text of an encoder; one text for each column if empty.
        encoder_pairs: whether an encoder's readings have two texts, such as a premise and a hypothesis.
        encoder_marks: how many marks an encoder's readings have.
        encoder_outputs: how many numbers a head gives for a reading; None is one for each label.
    """

    name: ClassVar[str]
    folder: ClassVar[str]
    hub_config: ClassVar[str | None] = None
    labels: ClassVar[tuple[str, ...]]
    columns: ClassVar[tuple[str, ...]]
    integers: ClassVar[tuple[str, ...]] = ()
    may_be_empty: ClassVar[tuple[str, ...]] = ()
    superglue_columns: ClassVar[tuple[str, ...]] = ()
    paper_labels: ClassVar[tuple[str, ...]] = ()
    group_by: ClassVar[tuple[str, ...]] = ()
    shared_text: ClassVar[str | None] = None
    metrics: ClassVar[tuple[str, ...]] = ("accuracy",)
    paper_score: ClassVar[tuple[str, ...]] = ("accuracy",)
    superglue_score: ClassVar[tuple[str, ...]] = ("accuracy",)
    max_answer_tokens: ClassVar[int | None] = None
    encoder_texts: ClassVar[tuple[tuple[str, ...], ...]] = ()
    encoder_pairs: ClassVar[bool] = True
    encoder_marks: ClassVar[int] = 0
    encoder_outputs: ClassVar[int | None] = None

    def __init__(self, protocol: str):
        if protocol not in PROTOCOLS:
            raise ValueError(f"protocol {protocol!r} is unknown; there are {', '.join(PROTOCOLS)}")
        self.protocol = protocol

    # Rows in

    def parse(self, row: RawRow) -> list[Example]:
        """The examples in one raw row of the official or the hub's schema.

        Raises:
            ValueError: a field is missing, of the wrong type or impossible, or the label is unknown.
        """
        if not isinstance(row, Mapping):
            raise ValueError(f"{self.name}: a row should be an object with named fields, found {row!r:.80}")
        try:
            return [self.example(flat) for flat in self.flatten(row)]
        except ValueError as error:
            raise ValueError(f"{self.name}: {error}") from error

    def flatten(self, row: RawRow) -> Iterable[RawRow]:
        """The row of an official file as rows of the hub's flat schema; tasks with nested official rows override it.

        Raises:
            ValueError: a nested field is missing or has the wrong type.
        """
        return [row]

    def example(self, row: RawRow) -> Example:
        """One row of the hub's flat schema as an example.

        Raises:
            ValueError: as `parse`, but without the name of the task.
        """
        numbers = read(row, "idx", dict) if self.group_by else {}
        group = {key: read_index(numbers, key) for key in self.group_by}
        return Example(
            fields={
                column: read_index(row, column)
                if column in self.integers
                else read_text(row, column, column in self.may_be_empty)
                for column in self.columns
            },
            label=read_label(row, self.labels),
            idx=group or read_index(row, "idx"),
            group=tuple(group.values()) or None,
        )

    def subject(self, example: Example) -> str | None:
        """The text that other rows may share, a passage or a word; None if there is none. Rows that share a text leak
        labels to each other, so all of them train or all of them are held out."""
        return example.fields[self.shared_text] if self.shared_text else None

    def warnings(self, example: Example) -> Iterable[str]:
        """What is odd about the example although it may be right: fixed phrases that continue a number of examples,
        such as "with an empty answer". `parse_rows` counts each phrase and logs it once a split."""
        return ()

    # Text out

    def source(self, example: Example) -> str:
        """The text that T5's encoder reads."""
        if self.protocol == "paper":
            return self.join(example, self.columns)
        return f"{self.name} " + self.join(example, self.superglue_columns or self.columns)

    @staticmethod
    def join(example: Example, columns: Iterable[str]) -> str:
        """`name: value` for each column that the example has, joined by spaces."""
        fields = example.fields
        return " ".join(f"{column}: {fields[column]}" for column in columns if column in fields)

    def targets(self, example: Example) -> list[str]:
        """The texts to train on, each as a training row: one, several if answers are open, or none if the example is
        not trained on."""
        if (verbalizers := self.verbalizers) is None:
            return list(example.answers)
        return [] if example.label is None else [verbalizers[example.label]]

    @property
    def verbalizers(self) -> tuple[str, ...] | None:
        """The word for each label, in label order; None if answers are open."""
        return (self.protocol == "paper" and self.paper_labels) or self.labels or None

    # For an encoder

    def for_encoder(self) -> Task:
        """The task for an encoder: this one, or another if an encoder cannot predict labels from it."""
        return self

    @property
    def head_outputs(self) -> int:
        """How many numbers a head gives for a reading."""
        return len(self.labels) if self.encoder_outputs is None else self.encoder_outputs

    def decisions(self, example: Example) -> list[Decision]:
        """The D decisions that an encoder makes about the example; each is a training row."""
        fields = example.fields
        texts = self.encoder_texts or [(column,) for column in self.columns]
        reading = Reading(tuple(" ".join(fields[column] for column in columns) for columns in texts))
        return [Decision((reading,), example.label)]

    def candidates(self, example: Example) -> tuple[str, ...]:
        """The C answers that an encoder chooses from, in the order of `weigh`."""
        return self.labels

    def weigh(self, logits: Sequence[Sequence[float]]) -> list[float]:
        """The score of each candidate of an example; a softmax turns the scores into probabilities.

        Args:
            logits: of the decisions [D, K]; K is `head_outputs` times the number of readings.

        Returns:
            [C], a number for each of `candidates`.

        Raises:
            ValueError: D is not 1. A task with several decisions overrides this (ReCoRD, one for each entity).
        """
        (scores,) = logits
        return list(scores)

    def decide(self, example: Example, logits: Sequence[Sequence[float]]) -> int | str:
        """The prediction from the logits [D, K] (see `weigh`): the index of the candidate with the highest score, the
        first of equal ones; for ReCoRD the entity itself."""
        weights = self.weigh(logits)
        return weights.index(max(weights))

    # Predictions scored

    def evaluated(self, example: Example) -> bool:
        """Whether the example counts in the evaluation."""
        return True

    def find_label(self, text: str, example: Example) -> int | None:
        """The index of the label that a generated text stands for; None if it stands for none. They are compared after
        `clean`, or exactly if some words then are alike or empty: + and -, A and B."""
        verbalizers, written = list(self.verbalizers or ()), text.strip()
        cleaned = [clean(word) for word in verbalizers]
        if all(cleaned) and len(set(cleaned)) == len(cleaned):
            verbalizers, written = cleaned, clean(text)
        return verbalizers.index(written) if written in verbalizers else None

    def is_answer(self, text: str, example: Example) -> bool:
        """Whether a generated text is an answer of the task: a label, or any text if answers are open."""
        return self.find_label(text, example) is not None if self.labels else bool(text.strip())

    def interpret(self, text: str, example: Example) -> Prediction:
        """The prediction that a generated text stands for: its label, or the text itself if answers are open."""
        return self.find_label(text, example) if self.labels else text

    def score(self, examples: Sequence[Example], predictions: Sequence[Prediction]) -> dict[str, float]:
        """All metrics in percent, and the protocol's headline number as "score".

        It skips examples that the protocol does not evaluate; the prediction None is always wrong.

        Raises:
            ValueError: there is nothing to evaluate, an example has no gold label, or lengths differ.
        """
        pairs = [(e, p) for e, p in zip(examples, predictions, strict=True) if self.evaluated(e)]
        if not pairs:
            raise ValueError(f"{self.name}: there is nothing to score")
        for example, _ in pairs:
            if example.label is None and not example.answers:
                raise ValueError(f"{self.name}: example {example.idx} has no gold label or answer")
        fractions = self.measure([e for e, _ in pairs], [p for _, p in pairs])
        percent = {name: 100.0 * value for name, value in fractions.items()}
        headline = self.paper_score if self.protocol == "paper" else self.superglue_score
        return percent | {"score": mean([percent[name] for name in headline])}

    def credit(self, example: Example, prediction: Prediction) -> float:
        """The score of one prediction, 0 or 1; for open answers the mean of exact match and token F1. None earns 0."""
        if not self.labels:
            return mean([exact_match(prediction, example.answers), token_f1(prediction, example.answers)])
        return float(prediction is not None and prediction == example.label)

    def measure(self, examples: Sequence[Example], predictions: Sequence[Prediction]) -> dict[str, float]:
        """The metrics of evaluated, labelled examples, as fractions.

        Args:
            predictions: one for each example.

        Returns:
            Each of `metrics` that the protocol reports, by name.

        Raises:
            ValueError: an example has no gold label.
        """
        if not self.labels:
            pairs = [(text, example.answers) for text, example in zip(predictions, examples, strict=True)]
            return {
                "exact_match": mean([exact_match(*pair) for pair in pairs]),
                "f1": mean([token_f1(*pair) for pair in pairs]),
            }
        gold = [example.gold for example in examples]
        fractions = {"accuracy": accuracy(gold, predictions)}
        if "macro_f1" in self.metrics:
            fractions["macro_f1"] = macro_f1(gold, predictions, len(self.labels))
        return fractions
