"""A table and its formats: Markdown, LaTeX and CSV."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from rpt.reports.budgets import training
from rpt.reports.grid_results import GridResults
from rpt.reports.labels import label, said_of
from rpt.reports.layouts import file_name
from rpt.reports.render import environment, escape_latex, escape_markdown, paragraphs


@dataclass(frozen=True)
class Text:
    """A cell of a table; notes: the numbers of its footnotes, from 1."""

    text: str = ""
    bold: bool = False
    notes: tuple[int, ...] = ()


@dataclass(frozen=True)
class Table:
    """A table ready to be written.

    name: of its files. header: the columns' titles, of which the first `labels` name the rows.
    blocks: groups of lines with a rule between; every line is as long as the header.
    notes: footnotes, the first has number 1. remarks: paragraphs below the table.
    records: the lines of the CSV, all with the same keys. seeds: how many a cell is the mean of, 0 for other cells.
    warning: what a reader must know about the scale. backbone: the only one with runs; the report names it once instead
    of giving it a column. in_report: whether the report shows the table or links to it.
    """

    name: str
    caption: str
    header: list[str]
    labels: int
    blocks: list[list[list[Text]]]
    records: list[dict[str, object]]
    notes: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    seeds: int = 0
    warning: str = ""
    backbone: str = ""
    in_report: bool = True


class Notes:
    """Footnotes in the order of their first use."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def number(self, texts: list[str]) -> tuple[int, ...]:
        """The numbers of these texts; new ones are added."""
        self.texts += [text for text in texts if text not in self.texts]
        return tuple(sorted(self.texts.index(text) + 1 for text in texts))


Line = tuple[dict[str, str], Sequence[Text | str]]  # the values of the axes that name a row, and its cells


def make_table(
    name: str,
    template: str,
    results: GridResults,
    axes: tuple[str, ...],
    columns: Sequence[str],
    groups: Iterable[Iterable[Line]],
    records: Sequence[dict[str, object]],
    facts: dict[str, Any] | None = None,
    **more: Any,
) -> Table:
    """A table whose caption and remarks a template of templates/text writes from facts.

    Args:
        name: without the scale. axes: those that name a row. columns: the titles of the others. more: of Table.
    """
    scale, several = results.experiment.scale, len(results.backbones) > 1
    caption, *remarks = paragraphs(template, training=training(results), several=several, **(facts or {}))

    def written(at: dict[str, str], texts: Sequence[Text | str]) -> list[Text]:
        names = [results.name_of(key, value) for key, value in at.items()]
        return [text if isinstance(text, Text) else Text(text) for text in (*names, *texts)]

    return Table(
        name=file_name(name, scale),
        caption=caption,
        header=[*(label("axis", key) for key in axes), *columns],
        labels=len(axes),
        blocks=[[written(*line) for line in group] for group in groups],
        records=[{"table": name, "scale": scale} | record for record in records],
        remarks=[*remarks, *backbone_notes(results)],
        warning=said_of("warning", scale),
        backbone="" if several or scale == "paper" else results.name_of("backbone", results.backbones[0]),
        **more,
    )


def backbone_notes(results: GridResults) -> list[str]:
    """What a reader must know about the backbones in it."""
    notes = {label("backbone", name): said_of("backbone note", name) for name in results.backbones}
    return [f"{name}: {note}." for name, note in notes.items() if note]


def to_markdown(table: Table) -> str:
    return environment(escape_markdown).get_template("table.md.j2").render(table=table, warning=table.warning)


def to_latex(table: Table) -> str:
    r"""A `table*` environment for a document with \usepackage{booktabs}."""
    return environment(escape_latex).get_template("table.tex.j2").render(table=table) + "\n"


def to_csv(table: Table) -> str:
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, list(table.records[0]), lineterminator="\n")
    writer.writeheader()
    for record in table.records:
        writer.writerow({key: _number(value) if isinstance(value, float) else value for key, value in record.items()})
    return buffer.getvalue()


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.4f}"
