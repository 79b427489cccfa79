"""A table ready to be written, in whatever format."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Text:
    """What stands in one place of a table. notes: numbers of the footnotes that belong to it, from 1."""

    text: str = ""
    bold: bool = False
    notes: tuple[int, ...] = ()


@dataclass(frozen=True)
class Table:
    """A table ready to be written.

    name: of its files. header: the columns' titles, of which the first `labels` name the rows.
    blocks: groups of lines with a rule between; every line is as long as the header.
    notes: footnotes, the first has number 1. remarks: paragraphs below the table.
    records: the lines of the CSV, numbers unrounded; all have the same keys.
    warning: what a reader must know of the scale, before the caption. backbone: the only one that has runs; the report
    leaves its column out and names it once. in_report: False where the report only says that the table is there.
    """

    name: str
    caption: str
    header: list[str]
    labels: int
    blocks: list[list[list[Text]]]
    records: list[dict[str, object]]
    notes: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    warning: str = ""
    backbone: str = ""
    in_report: bool = True


class Notes:
    """Footnotes in the order in which they are first needed."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def number(self, texts: list[str]) -> tuple[int, ...]:
        """The numbers of these texts, which are added where they are new."""
        self.texts += [text for text in texts if text not in self.texts]
        return tuple(sorted(self.texts.index(text) + 1 for text in texts))
