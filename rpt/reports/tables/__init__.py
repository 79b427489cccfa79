"""The paper's tables."""

from __future__ import annotations

from collections.abc import Iterator

from rpt.reports.grid_results import GridResults
from rpt.reports.layouts import COSTS, LAYOUTS, LEARNING
from rpt.reports.paper import Paper
from rpt.reports.significance import significance_table
from rpt.reports.table import Table
from rpt.reports.tables.counts import costs_table, learning_table, parameters_table
from rpt.reports.tables.findings import find_all
from rpt.reports.tables.rates_table import rates_table
from rpt.reports.tables.score_table import fill, score_table


def all_tables(results: GridResults, paper: Paper) -> Iterator[Table]:
    """Make the tables of an experiment one by one; none if it has no record."""
    if results.runs.empty:
        return
    name = results.experiment.name
    for layout in LAYOUTS:
        if layout.experiment == name:
            numbers = fill(layout, results, paper)
            yield score_table(numbers, paper, find_all(numbers, paper))
    if results.rates is not None:
        yield rates_table(results, results.rates)
    if name == "table3":
        yield parameters_table(results, paper)
    if name == COSTS:
        yield costs_table(results)
    if name in LEARNING:
        yield learning_table(results)
    if name == "table1" and (compared := significance_table(results)):
        yield compared
