"""Residual against plain, task by task: whether the gap is more than noise."""

from __future__ import annotations

from rpt.reports.grid_results import GridResults
from rpt.reports.labels import signed
from rpt.reports.layouts import SIGNIFICANCE
from rpt.reports.significance import REPEATS, compare_runs, holm
from rpt.reports.table import Table, Text, make_table, row_labels

COLUMNS = ["PT", "Residual PT", "difference", "95 % interval", "p", "p (Holm)", "examples", "seeds"]


def significance_table(results: GridResults) -> Table | None:
    """Over the examples that both predicted; None where nothing can be compared."""
    axes = (*(key for key in results.row_axes(("backbone",)) if key != "prompt"), "task")
    compared = []
    for at in results.points(axes):
        plain, residual = (results.at(at | {"prompt": prompt}) for prompt in ("vanilla", "residual"))
        if (comparison := compare_runs(residual, plain)) is not None:
            compared.append((at, comparison))
    if not compared:
        return None
    lines, records = [], []
    for (at, found), p_holm in zip(compared, holm([found.p for _, found in compared]), strict=True):
        means = [f"{found.second:.1f}", f"{found.first:.1f}", signed(found.difference)]
        tested = [f"{signed(found.low)} to {signed(found.high)}", p_value(found.p), p_value(p_holm)]
        counts = [f"{found.examples:,}", str(found.seeds)]
        lines.append([*row_labels(results, at), *map(Text, [*means, *tested, *counts])])
        records.append(
            {**at, "plain": found.second, "residual": found.first, "difference": found.difference, "low": found.low}
            | {"high": found.high, "p": found.p, "p_holm": p_holm, "examples": found.examples, "seeds": found.seeds}
        )
    return make_table(
        SIGNIFICANCE,
        "significance",
        results,
        axes,
        COLUMNS,
        [lines],
        records,
        {"repeats": f"{REPEATS:,}"},
        in_report=False,
    )


def p_value(p: float) -> str:
    return "<0.001" if p < 0.001 else f"{p:.3f}"
