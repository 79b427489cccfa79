"""One table as Markdown, CSV and LaTeX."""

from __future__ import annotations

import csv
import io
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
    """

    name: str
    caption: str
    header: list[str]
    labels: int
    blocks: list[list[list[Text]]]
    records: list[dict[str, object]]
    notes: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def to_markdown(table: Table) -> str:
    def line(texts: list[str]) -> str:
        return f"| {' | '.join(texts)} |"

    def shown(text: Text) -> str:
        marks = f"<sup>{','.join(map(str, text.notes))}</sup>" if text.notes else ""
        body = text.text.replace("|", "\\|")
        return (f"**{body}**" if text.bold and body else body) + marks

    rules = ["--"] * table.labels + ["--:"] * (len(table.header) - table.labels)
    lines = [line(table.header), f"|{'|'.join(rules)}|"]
    lines += [line([shown(text) for text in texts]) for block in table.blocks for texts in block]
    notes = [f"<sup>{number}</sup> {note}" for number, note in enumerate(table.notes, start=1)]
    return "\n\n".join([f"**{table.caption}**", "\n".join(lines), *notes, *table.remarks]) + "\n"


def to_csv(table: Table) -> str:
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, list(table.records[0]), lineterminator="\n")
    writer.writeheader()
    for record in table.records:
        writer.writerow({key: f"{value:.4f}" if isinstance(value, float) else value for key, value in record.items()})
    return buffer.getvalue()


def to_latex(table: Table) -> str:
    r"""A `table*` environment for a document with \usepackage{booktabs}."""

    def shown(text: Text) -> str:
        marks = rf"\textsuperscript{{{','.join(map(str, text.notes))}}}" if text.notes else ""
        body = escaped(text.text)
        return (rf"\textbf{{{body}}}" if text.bold and body else body) + marks

    def line(texts: list[str]) -> str:
        return "  " + " & ".join(texts) + r" \\"

    blocks = ["\n".join(line([shown(text) for text in texts]) for texts in block) for block in table.blocks]
    below = [rf"\textsuperscript{{{n}}} {escaped(note)}" for n, note in enumerate(table.notes, start=1)]
    below += [escaped(remark) for remark in table.remarks]
    parts = [
        r"\begin{table*}",
        r"  \centering\small\setlength{\tabcolsep}{4pt}",
        rf"  \caption{{{escaped(table.caption)}}}",
        rf"  \label{{tab:{table.name}}}",
        rf"  \begin{{tabular}}{{{'l' * table.labels}{'r' * (len(table.header) - table.labels)}}}",
        r"  \toprule",
        line([escaped(title) for title in table.header]),
        r"  \midrule",
        "\n  \\midrule\n".join(blocks),
        r"  \bottomrule",
        r"  \end{tabular}",
        *([r"  \par\medskip\footnotesize\raggedright", "  " + "\\par\n  ".join(below)] if below else []),
        r"\end{table*}",
    ]
    return "\n".join(parts) + "\n"


_LATEX = {character: "\\" + character for character in "&%$#_{}"} | {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"$<$", ">": r"$>$",
    "±": r"$\pm$", "−": "$-$", "×": r"$\times$", "·": r"$\cdot$", "≤": r"$\le$", "≥": r"$\ge$",
    "–": "--", "→": r"$\to$",
}  # fmt: skip


def escaped(text: str) -> str:
    """Plain text as LaTeX writes it."""
    return "".join(_LATEX.get(character, character) for character in text)
