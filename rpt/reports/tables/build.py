"""What all tables share: their name, the titles of their rows, their words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rpt.reports.budgets import training
from rpt.reports.grid_results import GridResults
from rpt.reports.labels import BACKBONE_NOTES, WARNINGS, label
from rpt.reports.layouts import file_name
from rpt.reports.tables.table import Table, Text
from rpt.reports.templating import paragraphs

Lines = list[list[Text]]


def make_table(
    name: str,
    template: str,
    results: GridResults,
    axes: tuple[str, ...],
    columns: list[str],
    blocks: list[Lines],
    records: list[dict[str, object]],
    notes: Sequence[str] = (),
    in_report: bool = True,
    **facts: Any,
) -> Table:
    """A table whose caption and remarks a template of templates/text writes from facts.

    Args:
        name: without the scale. axes: those that name a row. columns: the titles of the others.
    """
    scale, several = results.experiment.scale, len(results.backbones) > 1
    caption, *remarks = paragraphs(template, training=training(results), several=several, **facts)
    return Table(
        name=file_name(name, scale),
        caption=caption,
        header=[*(label("axis", key) for key in axes), *columns],
        labels=len(axes),
        blocks=blocks,
        records=[{"table": name, "scale": scale} | record for record in records],
        notes=list(notes),
        remarks=[*remarks, *backbone_notes(results)],
        warning=WARNINGS.get(scale, ""),
        backbone="" if several or scale == "paper" else results.name_of("backbone", results.backbones[0]),
        in_report=in_report,
    )


def backbone_notes(results: GridResults) -> list[str]:
    """What a reader must know of the backbones whose numbers stand there."""
    return [
        f"{label('backbone', name)}: {BACKBONE_NOTES[name]}." for name in results.backbones if name in BACKBONE_NOTES
    ]


def row_labels(results: GridResults, at: dict[str, str]) -> list[Text]:
    return [Text(results.name_of(key, value)) for key, value in at.items()]
