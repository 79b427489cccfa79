"""Residual against plain, task by task: whether the gap is more than noise."""

from __future__ import annotations

from rpt.reports.captions import captioned
from rpt.reports.grid_results import GridResults
from rpt.reports.labels import label, signed
from rpt.reports.layouts import SIGNIFICANCE, file_name
from rpt.reports.significance import compare_runs, holm
from rpt.reports.tables.table import Table, Text

CAPTION = (
    "Residual against plain, task by task: credit per example (per cent, mean over the seeds that both have), its "
    "difference in points with a 95 % paired bootstrap interval, and a two-sided permutation test over examples "
    "(signs of the differences, 10,000 times); p (Holm) allows for the number of lines."
)
REMARK = (
    "Credit is 1 for a right answer and 0 for a wrong one (ReCoRD: mean of exact match and F1), so that a score "
    "made of F1 or of whole questions moves otherwise. The test asks whether these runs differ on other examples "
    "of this kind; whether other seeds would, the standard deviations tell."
)
COLUMNS = ["PT", "Residual PT", "difference", "95 % interval", "p", "p (Holm)", "examples", "seeds"]


def significance_table(results: GridResults) -> Table | None:
    """Over the examples that both predicted; None where nothing can be compared."""
    scale = results.experiment.scale
    axes = tuple(key for key in results.row_axes(("backbone",)) if key != "prompt")
    found = []
    for at in results.points((*axes, "task")):
        plain, residual = (results.at(at | {"prompt": prompt}) for prompt in ("vanilla", "residual"))
        comparison = compare_runs(residual, plain)
        if comparison is not None:
            found.append((at, comparison))
    if not found:
        return None
    adjusted = holm([comparison.p for _, comparison in found])
    block, records = [], []
    for (at, of), p_holm in zip(found, adjusted, strict=True):
        means = [f"{of.second:.1f}", f"{of.first:.1f}", signed(of.difference)]
        tested = [f"{signed(of.low)} to {signed(of.high)}", p_value(of.p), p_value(p_holm)]
        labels = [label(key, value) for key, value in at.items()]
        block.append([Text(text) for text in (*labels, *means, *tested, f"{of.examples:,}", str(of.seeds))])
        records.append(
            {"table": SIGNIFICANCE, "scale": scale, **at, "plain": of.second, "residual": of.first}
            | {"difference": of.difference, "low": of.low, "high": of.high, "p": of.p, "p_holm": p_holm}
            | {"examples": of.examples, "seeds": of.seeds}
        )
    return Table(
        name=file_name(SIGNIFICANCE, scale),
        caption=captioned(CAPTION, scale),
        header=[*(label("axis", key) for key in axes), "task", *COLUMNS],
        labels=len(axes) + 1,
        blocks=[block],
        records=records,
        remarks=[REMARK],
    )


def p_value(p: float) -> str:
    return "<0.001" if p < 0.001 else f"{p:.3f}"
