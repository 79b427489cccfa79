"""The paper's tables."""

from __future__ import annotations

from rpt.reports.grid_results import GridResults
from rpt.reports.layouts import COSTS, LAYOUTS, LEARNING
from rpt.reports.paper import Paper
from rpt.reports.significance import significance_table
from rpt.reports.table import Table
from rpt.reports.tables.counts import costs_table, learning_table, parameters_table
from rpt.reports.tables.findings import find_all
from rpt.reports.tables.rates_table import rates_table
from rpt.reports.tables.score_table import fill, score_table


def all_tables(results: GridResults, paper: Paper) -> list[Table]:
    """Make the tables of an experiment; none if it has no record."""
    if results.runs.empty:
        return []
    name = results.experiment.name
    filled = [fill(layout, results, paper) for layout in LAYOUTS if layout.experiment == name]
    tables = [score_table(numbers, paper, find_all(numbers, paper)) for numbers in filled]
    tables += [rates_table(results, results.rates)] if results.rates is not None else []
    tables += [parameters_table(results, paper)] if name == "table3" else []
    tables += [costs_table(results)] if name == COSTS else []
    tables += [learning_table(results)] if name in LEARNING else []
    compared = significance_table(results) if name == "table1" else None
    return tables + ([compared] if compared else [])
