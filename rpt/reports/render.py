"""The Jinja templates: their filters, what they escape, and the pages and sentences that they write.

Everything is escaped, so that nothing in a record (an error, a name, a device) can act as markup; intended markup goes
through `safe`. Functions give numbers and names, templates/text writes plain sentences of them, and the other templates
escape those.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markdown import markdown
from markupsafe import Markup

from rpt.reports.labels import in_words, label, label_with_unit, rate, row_in_words, signed

_LATEX = {character: "\\" + character for character in "&%$#_{}"} | {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"$<$", ">": r"$>$",
    "±": r"$\pm$", "−": "$-$", "×": r"$\times$", "·": r"$\cdot$", "≤": r"$\le$", "≥": r"$\ge$",
    "–": "--", "→": r"$\to$",
}  # fmt: skip
_LATEX_DELIMITERS: dict[str, Any] = {  # braces and per cent signs belong to LaTeX
    "block_start_string": "<%", "block_end_string": "%>", "variable_start_string": "<<", "variable_end_string": ">>",
    "comment_start_string": "<#", "comment_end_string": "#>",
}  # fmt: skip


def escape_latex(text: str) -> str:
    """Plain text as LaTeX writes it."""
    return "".join(_LATEX.get(character, character) for character in text)


def escape_markdown(text: str) -> str:
    """Plain text as Markdown writes it, tables included. A < that opens no tag, as in <0.001, may stay."""
    text = re.sub(r"([\\`*\[\]|])", r"\\\1", text)
    return re.sub(r"<(?=[A-Za-z/!?])", "&lt;", re.sub(r"&(?=#?\w+;)", "&amp;", text))


def paragraphs(template: str, **facts: object) -> list[str]:
    """The text that a template of templates/text makes of these facts, split into paragraphs at blank lines."""
    text = environment(str).get_template(f"text/{template}.j2").render(**facts)
    return [" ".join(paragraph.split()) for paragraph in re.split(r"\n\s*\n", text) if paragraph.strip()]


def page(text: str, images: dict[str, bytes]) -> str:
    """Markdown as an HTML page that needs no other file: it contains the SVG of each image, given by its link."""
    body = markdown(text, extensions=["tables"])
    for name in (name for name in images if name.endswith(".svg")):
        data = base64.b64encode(images[name]).decode()
        body = body.replace(f'src="{name[:-4]}.png"', f'src="data:image/svg+xml;base64,{data}"')
    return environment(str).get_template("report.html.j2").render(body=Markup(body)) + "\n"


@cache
def environment(escape: Callable[[str], str]) -> Environment:
    """The templates; `escape` makes plain text safe."""

    made = Environment(
        loader=PackageLoader("rpt.reports"),
        finalize=lambda value: value if isinstance(value, Markup) else escape(str(value)),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        **(_LATEX_DELIMITERS if escape is escape_latex else {}),
    )
    made.filters |= {
        "label": lambda name, kind: label(kind, name),
        "value": lambda name, axis: label_with_unit(axis, name),
        "listed": in_words, "rate": rate, "row": row_in_words, "signed": signed,
    }  # fmt: skip
    return made
