"""Tables and the report as Markdown, CSV, LaTeX and HTML.

The templates escape whatever they are given, so that nothing in a record (an error, a name, a device) can act as
markup; what is markup on purpose is passed through `safe`.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from rpt.reports.tables.table import Table

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
    return _markdown().get_template("table.md.j2").render(table=table)


def to_latex(table: Table) -> str:
    r"""A `table*` environment for a document with \usepackage{booktabs}."""
    return _latex().get_template("table.tex.j2").render(table=table) + "\n"


def to_csv(table: Table) -> str:
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, list(table.records[0]), lineterminator="\n")
    writer.writeheader()
    for record in table.records:
        writer.writerow({key: f"{value:.4f}" if isinstance(value, float) else value for key, value in record.items()})
    return buffer.getvalue()


def report_markdown(**content: Any) -> str:
    return _markdown().get_template("report.md.j2").render(**content)


def report_html(body: str) -> str:
    """The page around a body that is HTML already."""
    environment = Environment(loader=_loader(), undefined=StrictUndefined, autoescape=True)
    return environment.get_template("report.html.j2").render(body=Markup(body)) + "\n"


@cache
def _markdown() -> Environment:
    return _environment(escape_markdown)


@cache
def _latex() -> Environment:
    """Braces and per cent signs belong to LaTeX, so its templates have << >> and <% %>."""
    return _environment(
        escape_latex,
        block_start_string="<%",
        block_end_string="%>",
        variable_start_string="<<",
        variable_end_string=">>",
        comment_start_string="<#",
        comment_end_string="#>",
    )


def _environment(escape: Callable[[str], str], **delimiters: Any) -> Environment:
    def finalize(value: Any) -> Any:
        return value if isinstance(value, Markup) else escape(str(value))

    return Environment(
        loader=_loader(),
        finalize=finalize,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        **delimiters,
    )


def _loader() -> PackageLoader:
    return PackageLoader("rpt.reports")
