"""A task that a configuration declares. It gives its fields, its labels, its metric."""

from __future__ import annotations

import math
import string
from functools import cache
from typing import ClassVar

from rpt.tasks.base import Task
from rpt.tasks.examples import Decision, Example, Reading
from rpt.tasks.fields import RawRow, read_index, read_label, read_text

LABEL_METRICS, TEXT_METRICS = ("accuracy", "macro_f1"), ("exact_match", "f1")


class CustomTask(Task):
    """Both protocols write and score it in the same way.

    Attributes:
        words: the verbalizer of each label; without labels the backbone generates the answer.
        answer: the field that holds the label, or the answer: a text, or a list of texts.
        template: the text that the backbone reads, with {field} as placeholders; empty: "field: text" for each field.
    """

    words: ClassVar[tuple[str, ...]]
    answer: ClassVar[str]
    template: ClassVar[str]

    def example(self, row: RawRow) -> Example:
        texts = {name: _write(value) for name, value in row.items()}
        fields = {column: read_text(texts, column) for column in self.columns}
        label = read_label(row, self.labels, self.answer)
        answers: tuple[str, ...] = ()
        if not self.labels and (value := row.get(self.answer)) is not None:
            several = value if isinstance(value, list) else [value]
            answers = tuple(dict.fromkeys(read_text({self.answer: _write(one)}, self.answer) for one in several))
        return Example(fields, label, answers, read_index(row, "idx"))

    def subject(self, example: Example) -> str:
        """The shared text where a column is declared as one, else all that is read: a row may stand there twice."""
        return super().subject(example) or self.source(example)

    def source(self, example: Example) -> str:
        return self.template.format(**example.fields) if self.template else self.join(example, self.columns)

    @property
    def verbalizers(self) -> tuple[str, ...] | None:
        return self.words or None

    def decisions(self, example: Example) -> list[Decision]:
        """An encoder reads the filled template; without one, two texts: the last field, and the others before it."""
        if self.template:
            texts: tuple[str, ...] = (self.template.format(**example.fields),)
        else:
            *others, last = (example.fields[column] for column in self.columns)
            texts = (" ".join(others), last) if others else (last,)
        return [Decision((Reading(texts),), example.label)]


@cache
def make_task(
    name: str,
    fields: tuple[str, ...],
    labels: tuple[str, ...] = (),
    words: tuple[str, ...] = (),
    answer: str = "label",
    metric: str | None = None,
    template: str | None = None,
    hub_config: str | None = None,
    max_answer_tokens: int = 16,
    shared_text: str | None = None,
    protocol: str = "paper",
) -> CustomTask:
    """The declared task, under the protocol; `rpt.config.TaskConfig` documents the arguments.

    Raises:
        ValueError: an argument does not fit the others; the message names it.
    """
    if len({label.lower() for label in labels}) != len(labels) or len(labels) == 1:
        raise ValueError(
            f"task.labels={list(labels)} must be two or more that differ not only in case; none where answers are open"
        )
    if words and len(words) != len(labels):
        raise ValueError(f"task.words={list(words)} must be as many as task.labels={list(labels)}")
    if len(set(words)) != len(words):
        raise ValueError(f"task.words={list(words)} must be another word for each label")
    metrics = LABEL_METRICS if labels else TEXT_METRICS
    if metric is not None and metric not in metrics:
        what = "labels" if labels else "open answers"
        raise ValueError(f"task.metric={metric} is no metric for {what}; choose one of: {', '.join(metrics)}")
    if len(set(fields)) != len(fields):
        raise ValueError(f"task.fields={list(fields)} must be columns, each once")
    if answer in fields:
        raise ValueError(f"task.answer={answer} is among task.fields={list(fields)}, so the text would tell it")
    if template:
        _check_template(template, fields)
    if shared_text is not None and shared_text not in fields:
        raise ValueError(f"task.shared_text={shared_text} is not among task.fields={list(fields)}")
    score = (metric or metrics[0],)
    declared = {
        "name": name, "folder": name, "hub_config": hub_config, "labels": labels, "words": words or labels,
        "columns": fields, "answer": answer, "template": template or "", "metrics": metrics, "paper_score": score,
        "superglue_score": score, "max_answer_tokens": None if labels else max_answer_tokens,
        "shared_text": shared_text, "encoder_pairs": len(fields) > 1 and not template,
    }  # fmt: skip
    return type("DeclaredTask", (CustomTask,), declared)(protocol)


def _write(value: object) -> object:
    """A number or a bool as text; NaN, which pandas makes of a missing value, and anything else as it is."""
    return str(value) if isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)) else value


def _check_template(template: str, fields: tuple[str, ...]) -> None:
    try:
        used = [field for _, field, _, _ in string.Formatter().parse(template) if field is not None]
    except ValueError as error:
        raise ValueError(
            f"task.template={template!r} cannot be read ({error}); write a brace as {{{{ or }}}}"
        ) from error
    if not used:
        raise ValueError(f"task.template={template} reads no field; put them in braces: {{{fields[0]}}}")
    if unknown := [field for field in used if field not in fields]:
        raise ValueError(f"task.template has {{{unknown[0]}}}, which is not among task.fields={list(fields)}")
    try:
        template.format(**dict.fromkeys(fields, "text"))
    except (ValueError, LookupError, AttributeError) as error:  # a format for numbers, or a dot in a column's name
        raise ValueError(
            f"task.template={template!r} cannot be filled with texts ({error}); give plain names of columns in braces"
        ) from error
