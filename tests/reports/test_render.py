"""What comes from a record is text in every format, whatever stands in it."""

import dataclasses
import re

import pytest
from markdown import markdown

from rpt.reports import report
from rpt.reports.render import escape_latex, escape_markdown, page
from rpt.reports.report import build
from rpt.reports.table import Table, Text, to_latex, to_markdown

from .conftest import grid, open_grids, reseal, write_record

EVIL = "<script>alert(1)</script> [x](javascript:1) **b** `c` a|b \\ $x^2$ &lt; #1 <!-- --> ![i](u)"


@pytest.mark.parametrize("text", [EVIL, "p <0.001 & a_b", "a < b > c", "[1] (IA)³ 100 %", "&amp;", "\\*not\\*"])
def test_markdown_gives_back_the_text(text):
    html = markdown(escape_markdown(text), extensions=["tables"])
    for shown, written in (("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"'), ("&amp;", "&")):
        html = html.replace(shown, written)
    assert html == f"<p>{text}</p>".replace("\n", "")


def test_a_record_cannot_put_markup_into_the_page(recorded, monkeypatch):
    monkeypatch.setattr(report, "names", lambda: ["table6", "figure6"])  # to lay out every grid takes long
    monkeypatch.setattr(report, "Grids", open_grids)
    folder = recorded("table6", keep=lambda c: c.seed == 0)
    config = next(c for c in grid("table6").jobs.values() if c.seed == 1)
    write_record(folder, config, status="failed", error=EVIL)
    write_record(folder, next(c for c in grid("table6").jobs.values() if c.seed == 2), device=EVIL, commit=EVIL)
    for number, changes in enumerate(({"status": EVIL}, {"schema": EVIL}, {"id": EVIL}, {"precision": [EVIL]})):
        other = write_record(folder, dataclasses.replace(config, seed=10 + number))
        hostile = other.rename(other.with_name(f"<img src=x onerror=alert({number})> [a](javascript:1)"))
        reseal(hostile, **changes)
    files, problems = build(folder, html=True)
    assert sum("onerror" in problem for problem in problems) == 4
    for name, content in files.items():
        if name.endswith((".md", ".tex", ".svg")):
            assert not re.search(r"<script|<img|[^\\]\]\(javascript", content.decode()), name
    page = files["REPORT.html"].decode()
    assert not re.search(r"<img(?! alt=)|href=|<[^>]*\son\w+=", page)
    for wrong in ("<script", 'javascript:1"', "<strong>b</strong>", "<code>c</code>", "<!-- -->", 'src="u"'):
        assert wrong not in page, wrong
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 5


def test_tables_escape_cells_captions_and_remarks():
    table = Table("t", EVIL, [EVIL], 0, [[[Text(EVIL, bold=True)]]], [{"a": 1}], [EVIL], [EVIL])
    text, latex = to_markdown(table), to_latex(table)
    assert "<script" not in text and text.count("&lt;script>") == 5
    assert latex.count(escape_latex(EVIL)) == 5
    assert text.splitlines()[2].count(" | ") == 0  # one column is one column


def test_the_page_takes_its_body_as_it_is():
    assert "<p>body</p>" in page("<p>body</p>", {})
