"""The templates: what they escape, the filters they know, and those of templates/text, which write sentences.

They escape whatever they are given, so that nothing in a record (an error, a name, a device) can act as markup; what is
markup on purpose is passed through `safe`. Functions give numbers and names, and templates/text says them as plain
text, which the other templates escape.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from rpt.reports.labels import in_words, label, label_with_unit, rate, row_in_words, signed

# Braces and per cent signs belong to LaTeX.
LATEX_DELIMITERS = {
    "block_start_string": "<%", "block_end_string": "%>", "variable_start_string": "<<", "variable_end_string": ">>",
    "comment_start_string": "<#", "comment_end_string": "#>",
}  # fmt: skip


def paragraphs(template: str, **facts: Any) -> list[str]:
    """What a template of templates/text says of these facts; a blank line ends a paragraph."""
    text = environment(str).get_template(f"text/{template}.j2").render(**facts)
    return [" ".join(paragraph.split()) for paragraph in re.split(r"\n\s*\n", text) if paragraph.strip()]


@cache
def environment(escape: Callable[[str], str], latex: bool = False) -> Environment:
    """The templates, where `escape` makes plain text safe."""

    def finalize(value: Any) -> Any:
        return value if isinstance(value, Markup) else escape(str(value))

    made = Environment(
        loader=PackageLoader("rpt.reports"),
        finalize=finalize,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        **(LATEX_DELIMITERS if latex else {}),
    )
    made.filters |= {
        "label": lambda name, kind: label(kind, name),
        "value": lambda name, axis: label_with_unit(axis, name),
        "listed": in_words, "rate": rate, "row": row_in_words, "signed": signed,
    }  # fmt: skip
    return made
