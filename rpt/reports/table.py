"""A table and its formats: Markdown, LaTeX and CSV."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from rpt.reports.budgets import training
from rpt.reports.grid_results import At, GridResults
from rpt.reports.labels import LABELS, label
from rpt.reports.layouts import file_name
from rpt.reports.render import environment, escape_latex, escape_markdown, paragraphs

Line = tuple[At, Sequence["Text | str"]]  # the values of the axes that name a row, and its cells
Record = Mapping[str, object]  # a line of a CSV file


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
    records: Sequence[Record] = ()
    notes: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    seeds: int = 0
    warning: str = ""
    backbone: str = ""
    in_report: bool = True


def number(texts: list[str], notes: dict[str, int]) -> tuple[int, ...]:
    """Number footnotes in the order of their first use, which `notes` remembers."""
    return tuple(sorted(notes.setdefault(text, len(notes) + 1) for text in texts))


def make_table(
    name: str,
    template: str,
    results: GridResults,
    axes: Sequence[str],
    columns: Sequence[str],
    groups: Iterable[Iterable[Line]],
    records: Sequence[Record],
    facts: Mapping[str, object] | None = None,
    **more: Any,
) -> Table:
    """Make a table; a template of templates/text writes its caption and remarks from facts.

    Args:
        name: without the scale. axes: those that name a row. columns: the titles of the others. more: of Table.
    """
    scale, several = results.scale, len(results.backbones) > 1
    caption, *remarks = paragraphs(template, training=training(results), several=several, **(facts or {}))

    def written(at: At, texts: Sequence[Text | str]) -> list[Text]:
        cells = (*(label(key, value) for key, value in at.items()), *texts)
        return [cell if isinstance(cell, Text) else Text(cell) for cell in cells]

    return Table(
        name=file_name(name, scale),
        caption=caption,
        header=[*(label("axis", key) for key in axes), *columns],
        labels=len(axes),
        blocks=[block for group in groups if (block := [written(*line) for line in group])],
        records=[{"table": name, "scale": scale, **record} for record in records],
        remarks=[*remarks, *backbone_notes(results)],
        warning=LABELS["warning"].get(scale, ""),
        backbone="" if several or scale == "paper" else label("backbone", results.backbones[0]),
        **more,
    )


def backbone_notes(results: GridResults) -> list[str]:
    """What a reader must know about the backbones in it."""
    notes = {label("backbone", name): LABELS["backbone note"].get(name) for name in results.backbones}
    return [f"{name}: {note}." for name, note in notes.items() if note]


def padded_table(name: str, caption: str, rows: Sequence[dict[str, str]], **more: Any) -> Table:
    """A table of texts by column, padded to one width each, so that it reads well on a terminal; more: of Table."""
    lines = [[*rows[0]], *([*row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    header, *body = [[text.ljust(width) for text, width in zip(line, widths, strict=True)] for line in lines]
    return Table(name, caption, header, blocks=[[[*map(Text, line)] for line in body]], **more)


def to_markdown(table: Table) -> str:
    return environment(escape_markdown).get_template("table.md.j2").render(table=table, warning=table.warning)


def to_latex(table: Table) -> str:
    r"""A `table*` environment for a document with \usepackage{booktabs}."""
    return environment(escape_latex).get_template("table.tex.j2").render(table=table) + "\n"


def to_csv(table: Table) -> str:
    rows = [
        [f"{value:.4f}" if isinstance(value, float) and pd.notna(value) else value for value in record.values()]
        for record in table.records
    ]
    return pd.DataFrame(rows, columns=list(table.records[0]), dtype=object).to_csv(index=False)
