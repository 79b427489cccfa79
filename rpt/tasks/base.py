"""What a task is: raw rows in, text for the backbone out, predictions scored.

There are two protocols. `paper` writes and scores rows as the published code of Residual Prompt Tuning does,
`superglue` as T5 (Raffel et al. 2020, appendix D) and the benchmark do.

A backbone that writes (T5, a decoder) is given a source and answers in text. An encoder (BERT) is given one or more
decisions and its head makes them; the published code has no such part, so its texts are the same under both protocols,
and the protocol says only how the predictions are scored.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

from rpt.tasks.examples import Decision, Example, Reading
from rpt.tasks.fields import Row, read, read_index, read_label, read_text
from rpt.tasks.metrics import accuracy, clean, mean

PROTOCOLS = ("paper", "superglue")
FALSE_TRUE = ("False", "True")


class Task:
    """A task under one protocol, mostly declared by class attributes; a subclass overrides only where the task is
    peculiar.

    A prediction is a label's index, a text where answers are open, or None where what a backbone wrote is no answer of
    the task. Shapes: D decisions of an example, C candidates among which an encoder chooses.

    Args:
        protocol: one of PROTOCOLS.

    Raises:
        ValueError: there is no such protocol.

    Attributes:
        name: our name for it, and T5's task prefix.
        folder: its folder in the official download.
        hub_config: its configuration in the hub's super_glue.
        version: raised whenever a format or metric changes, so that old and new records are told apart.
        labels: canonical label names, in the hub's order.
        columns: the fields, in the order in which `paper` writes them.
        integers: those of the columns that hold integers and not text.
        may_be_empty: those of the columns whose text may be empty, as it is in some official rows.
        superglue_columns: the fields in the order in which `superglue` writes them; all of them if empty.
        paper_labels: the words that stand for the labels under `paper`; the labels themselves if empty.
        group_by: the keys of a dict `idx` that make up the group; empty where `idx` is an int.
        shared_text: the column whose text (a passage, a word) several rows are about; see `subject`.
        metrics: every metric that `score` may report.
        paper_score, superglue_score: the metrics whose mean is each protocol's headline number.
        max_answer_tokens: longest generated answer in tokens; None where the answer is a verbalizer.
        encoder_texts: for an encoder, the fields that make up each text; every column by itself if empty.
        encoder_pairs: whether each of its readings has two texts, as a premise and a hypothesis.
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

    def parse(self, row: Row) -> list[Example]:
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

    def flatten(self, row: Row) -> Iterable[Row]:
        """The rows of the hub's flat schema that are in one of the official files; tasks that these nest override it.

        Raises:
            ValueError: what is nested is missing or of the wrong type.
        """
        return [row]

    def example(self, row: Row) -> Example:
        """One row of the hub's flat schema as an example.

        Raises:
            ValueError: as `parse` does, without the task's name.
        """
        idx: Any = read(row, "idx", dict) if self.group_by else read_index(row, "idx")
        return Example(
            fields={
                column: read_index(row, column)
                if column in self.integers
                else read_text(row, column, column in self.may_be_empty)
                for column in self.columns
            },
            label=read_label(row, self.labels),
            idx=idx,
            group=tuple(read_index(idx, key) for key in self.group_by) or None,
        )

    def subject(self, example: Example) -> str | None:
        """What other rows may be about too, a passage or a word; None: nothing. Rows about the same tell of each other,
        so they train together or are held out together."""
        return example.fields[self.shared_text] if self.shared_text else None

    def doubts(self, example: Example) -> Iterable[str]:
        """What is odd about the example though it may be right: nothing, or some of a few fixed phrases that go on
        from a number of examples, "with an empty answer". Who reads a split counts each and says it once."""
        return ()

    # Text out

    def source(self, example: Example) -> str:
        """The text that the encoder reads."""
        if self.protocol == "paper":
            return self.join(example, self.columns)
        return f"{self.name} " + self.join(example, self.superglue_columns or self.columns)

    @staticmethod
    def join(example: Example, columns: Iterable[str]) -> str:
        """`name: value` of each column that the example has, with a space between."""
        fields = example.fields
        return " ".join(f"{column}: {fields[column]}" for column in columns if column in fields)

    def targets(self, example: Example) -> list[str]:
        """The texts to train on, each a row of its own: one, several where answers are open, or none when the example
        is not trained on."""
        words = self.verbalizers
        return [] if words is None or example.label is None else [words[example.label]]

    @property
    def verbalizers(self) -> tuple[str, ...] | None:
        """The word for each label, in label order; None when answers are generated."""
        return self.paper_labels or self.labels if self.protocol == "paper" else self.labels

    # For an encoder

    def for_encoder(self) -> Task:
        """The task as an encoder is given it: another one only where a label cannot be predicted from this one."""
        return self

    @property
    def head_outputs(self) -> int:
        """How many numbers a head gives for a reading."""
        return len(self.labels) if self.encoder_outputs is None else self.encoder_outputs

    def decisions(self, example: Example) -> list[Decision]:
        """What an encoder has to decide about the example, D of them; each is a training row of its own."""
        fields = example.fields
        texts = self.encoder_texts or [(column,) for column in self.columns]
        reading = Reading(tuple(" ".join(fields[column] for column in of_text) for of_text in texts))
        return [Decision((reading,), example.label)]

    def candidates(self, example: Example) -> tuple[str, ...]:
        """What an encoder chooses its answer from, C of them, in the order of `weigh`."""
        return self.labels

    def weigh(self, logits: Sequence[Sequence[float]]) -> list[float]:
        """How much speaks for each of an example's candidates; the softmax makes probabilities of it.

        Args:
            logits: of each decision [D, K]: K is `head_outputs` for each of its readings, side by side.

        Returns:
            [C], a number for each of `candidates`.

        Raises:
            ValueError: D is not 1. A task with several decisions overrides this (ReCoRD, one for each entity).
        """
        (of_labels,) = logits
        return list(of_labels)

    def decide(self, example: Example, logits: Sequence[Sequence[float]]) -> Any:
        """The prediction that follows from the logits of each of the example's decisions, [D, K] as for `weigh`: the
        index of the candidate with the most weight, the first of equal ones; ReCoRD the entity itself."""
        weights = self.weigh(logits)
        return weights.index(max(weights))

    # Predictions scored

    def evaluated(self, example: Example) -> bool:
        """Whether the example counts in the evaluation."""
        return True

    def find_label(self, text: str, example: Example) -> int | None:
        """The index of the label that a generated text stands for; None when it stands for none."""
        words = [clean(word) for word in self.verbalizers or ()]
        return words.index(clean(text)) if clean(text) in words else None

    def is_answer(self, text: str, example: Example) -> bool:
        """Whether a generated text is an answer of the task: a label, or where answers are open any text at all."""
        return self.find_label(text, example) is not None if self.labels else bool(text.strip())

    def interpret(self, text: str, example: Example) -> Any:
        """A generated text as the prediction that is scored: its label, or the text itself where answers are open."""
        return self.find_label(text, example)

    def score(self, examples: Sequence[Example], predictions: Sequence[int | str | None]) -> dict[str, float]:
        """All metrics in percent, and the protocol's headline number as "score".

        Examples that the protocol does not evaluate are passed over; a None prediction is wrong everywhere.

        Raises:
            ValueError: nothing to evaluate, an example without gold, or lengths that differ.
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

    def credit(self, example: Example, prediction: Any) -> float:
        """What one prediction earns, 0 to 1: right or wrong; ReCoRD the mean of exact match and token F1. None earns
        nothing."""
        return float(prediction is not None and prediction == example.label)

    def measure(self, examples: Sequence[Example], predictions: Sequence[Any]) -> dict[str, float]:
        """The metrics of evaluated, labelled examples, as fractions.

        Args:
            predictions: as many as examples.

        Returns:
            by name, each of `metrics` that the protocol reports.

        Raises:
            ValueError: an example has no gold label.
        """
        return {"accuracy": accuracy([example.gold for example in examples], predictions)}
