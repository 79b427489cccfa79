"""Residual against plain by task. It says whether the gap is more than noise."""

from __future__ import annotations

from rpt.reports.grid_results import GridResults
from rpt.reports.labels import signed
from rpt.reports.layouts import SIGNIFICANCE
from rpt.reports.significance import REPEATS, compare_tasks, credits_of, holm
from rpt.reports.table import Table, make_table

COLUMNS = ["PT", "Residual PT", "difference", "95 % interval", "p", "p (Holm)", "examples", "seeds"]


def significance_table(results: GridResults) -> Table | None:
    """Over the examples that both predicted; None where nothing can be compared."""
    axes = (*(key for key in results.row_axes(("backbone",)) if key != "prompt"), "task")
    compared = []
    for at in results.points(axes):
        plain, residual = (results.at(at | {"prompt": prompt}) for prompt in ("vanilla", "residual"))
        if (pair := credits_of(residual, plain)) is not None:
            compared.append((at, compare_tasks([pair])))
    lines, records = [], []
    for (at, test), p_holm in zip(compared, holm([test.p for _, test in compared]), strict=True):
        means = [f"{test.second:.1f}", f"{test.first:.1f}", signed(test.difference)]
        tested = [f"{signed(test.low)} to {signed(test.high)}", p_value(test.p), p_value(p_holm)]
        lines.append((at, [*means, *tested, f"{test.examples:,}", str(test.seeds)]))
        records.append(
            {**at, "plain": test.second, "residual": test.first, "difference": test.difference, "low": test.low}
            | {"high": test.high, "p": test.p, "p_holm": p_holm, "examples": test.examples, "seeds": test.seeds}
        )
    facts, name = {"repeats": f"{REPEATS:,}"}, "significance"
    made = make_table(SIGNIFICANCE, name, results, axes, COLUMNS, [lines], records, facts, in_report=False)
    return made if compared else None


def p_value(p: float) -> str:
    return "<0.001" if p < 0.001 else f"{p:.3f}"
