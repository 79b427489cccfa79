"""Tables and the report as Markdown, CSV, LaTeX and HTML."""

from __future__ import annotations

import csv
import io
import re
from typing import Any

from markupsafe import Markup

from rpt.reports.tables.table import Table
from rpt.reports.templating import environment

_LATEX = {character: "\\" + character for character in "&%$#_{}"} | {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"$<$", ">": r"$>$",
    "±": r"$\pm$", "−": "$-$", "×": r"$\times$", "·": r"$\cdot$", "≤": r"$\le$", "≥": r"$\ge$",
    "–": "--", "→": r"$\to$",
}  # fmt: skip


def escape_latex(text: str) -> str:
    """Plain text as LaTeX writes it."""
    return "".join(_LATEX.get(character, character) for character in text)


def escape_markdown(text: str) -> str:
    """Plain text as Markdown writes it, tables included. A < that opens no tag, as in <0.001, may stay."""
    text = re.sub(r"([\\`*\[\]|])", r"\\\1", text)
    return re.sub(r"<(?=[A-Za-z/!?])", "&lt;", re.sub(r"&(?=#?\w+;)", "&amp;", text))


def to_markdown(table: Table) -> str:
    return environment(escape_markdown).get_template("table.md.j2").render(table=table, warning=table.warning)


def to_latex(table: Table) -> str:
    r"""A `table*` environment for a document with \usepackage{booktabs}."""
    return environment(escape_latex, latex=True).get_template("table.tex.j2").render(table=table) + "\n"


def to_csv(table: Table) -> str:
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, list(table.records[0]), lineterminator="\n")
    writer.writeheader()
    for record in table.records:
        writer.writerow({key: f"{value:.4f}" if isinstance(value, float) else value for key, value in record.items()})
    return buffer.getvalue()


def report_markdown(**content: Any) -> str:
    return environment(escape_markdown).get_template("report.md.j2").render(**content)


def report_html(body: str) -> str:
    """The page around a body that is HTML already."""
    return environment(str).get_template("report.html.j2").render(body=Markup(body)) + "\n"
