"""Parameters, time, score."""

from __future__ import annotations

from rpt.reports.grid_results import GridResults, pick_cell
from rpt.reports.labels import label
from rpt.reports.layouts import COSTS
from rpt.reports.scores import Cell, task_scores
from rpt.reports.table import Table, Text, make_table, row_labels

COUNTS = ("trained", "kept")


def costs_table(results: GridResults) -> Table:
    """A row for each prompt: numbers trained and kept, the average score over tasks, mean seconds of a run."""
    axes, averages = results.row_axes(("backbone", "prompt")), task_scores(results, {})["average"].to_frame()
    lines, records = [], []
    for at in results.points(axes):
        runs, cell = pick_cell(results.runs, at), Cell.of(pick_cell(averages, at)["average"])
        counts = {kind: sorted(set(runs[f"parameters.{kind}"])) for kind in COUNTS}
        seconds = None if runs.empty else float(runs["seconds"].mean())
        single = {kind: numbers[0] if len(numbers) == 1 else None for kind, numbers in counts.items()}
        records.append(
            {**at, **single} | {"mean": cell.mean, "sd": cell.sd, "n": cell.n, "seconds": seconds, "runs": len(runs)}
        )
        if seconds is not None:
            shown = [" or ".join(f"{number:,}" for number in numbers) for numbers in counts.values()]
            lines.append([*row_labels(results, at), *map(Text, [*shown, str(cell), f"{seconds:,.0f}"])])
    columns = ["trained", label("parameters", "kept"), "average", "seconds"]
    return make_table(COSTS, "costs", results, axes, columns, [lines], records, in_report=False)
