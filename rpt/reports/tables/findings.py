"""What a table of scores shows: facts that templates/text/scores.j2 writes above and below it."""

from __future__ import annotations

from typing import Any

from rpt.records.schema import ALL_STEPS
from rpt.reports.grid_results import GridResults
from rpt.reports.paper import Paper, row_name
from rpt.reports.scores import metrics_of
from rpt.reports.tables.rates import limits
from rpt.reports.tables.score_rows import At, ScoreRows

Shares = list[tuple[str, int, int]]  # by column, how many of how many


def find_all(table: ScoreRows, paper: Paper) -> dict[str, Any]:
    """All facts for the template."""
    layout, experiment = table.layout, table.results.experiment
    tasks, families = experiment.axes["task"], sorted({job.backbone.family for job in experiment.jobs.values()})
    return {
        "layout": layout, "tasks": tasks,
        "metrics": {task: metrics_of(task, layout.metrics, families[-1]) for task in tasks},
        "judged": "wsc" in tasks and families == ["bert", "t5"],
        "contrasts": contrasts(table, paper),
        "best_rates": at_best_rates(table),
        "not_ahead": not_ahead(table),
        "out_of_budget": out_of_budget(table.results, table.axes, layout.columns),
        "unrecorded": [] if experiment.scale == "paper" else unrecorded(table),
        "limits": limits(table.results),
    }  # fmt: skip


def contrasts(table: ScoreRows, paper: Paper) -> list[dict[str, Any]]:
    """The differences that the table is about, by column, here and in the paper."""
    layout, compared = table.layout, []
    axis, high, low = layout.contrast
    for row in table.rows:
        other = {**row.at, axis: low}
        against = next((low_row.cells for low_row in table.rows if low_row.at == other and row.at[axis] == high), {})
        gaps = {column: row.cells[column].minus(cell.mean) for column, cell in against.items()}
        ours = {column: gap for column, gap in gaps.items() if gap is not None}
        if not ours:
            continue
        backbone, theirs = paper.backbone_beside(layout.name, row.at["backbone"]), {}
        for column in ours:
            first, second = (paper.value(layout.name, backbone, row_name(at), column) for at in (row.at, other))
            if None not in (first, second):
                theirs[column] = first - second
        if not paper.covered_by(table.results.experiment.axes["task"], layout.name):
            theirs.pop("average", None)  # it is over other tasks
        where = {key: value for key, value in row.at.items() if key not in (axis, "backbone", "prompt")}
        compared.append({"where": where, "ours": ours, "here": row.at["backbone"], "theirs": theirs, "paper": backbone})
    return compared


def at_best_rates(table: ScoreRows) -> list[dict[str, Any]]:
    """For a table with learning rates across: each row at its best rate, and the difference that remains then."""
    if table.layout.columns != "lr":
        return []
    axis, high, low = table.layout.contrast
    keys, places = [key for key in table.layout.groups if key in table.axes], []
    for group in table.groups:
        scores = {row.at[axis]: [(cell.mean, lr) for lr, cell in row.cells.items() if cell.n] for row in group}
        best = {name: max(of_row) for name, of_row in scores.items() if of_row}
        gap = best[high][0] - best[low][0] if high in best and low in best else None
        places += [{"at": {key: group[0].at[key] for key in keys}, "best": best, "gap": gap}] if best else []
    return places


def not_ahead(table: ScoreRows) -> list[tuple[At, list[str]]]:
    """Rows that did not learn a task: their scores are below the majority class or within their spread of it."""
    places = []
    for row in table.rows:
        tasks = [column for column in table.floors if column != "average"]
        cells = {task: row.cells[task] for task in tasks if row.cells[task].mean is not None}
        gaps = {task: cell.mean - table.floors.at[row.at["backbone"], task] for task, cell in cells.items()}
        places.append((row.at, [task for task, gap in gaps.items() if gap <= (cells[task].sd or 0.0)]))  # no NaN is
    return [(at, tasks) for at, tasks in places if tasks]


def out_of_budget(results: GridResults, axes: tuple[str, ...], columns: str) -> list[tuple[At, Shares]]:
    """Runs that might have improved with more epochs, for these ended before the patience did: by row and column, how
    many of how many. If both ended with the same evaluation, more epochs would have changed nothing.

    Args:
        axes: those that name a row. columns: the one across.
    """
    runs = results.runs.reindex(columns=["stopped", "trainer.patience", "best.step", "history"])
    runs = runs[runs["trainer.patience"].notna()]
    if runs.empty:
        return []
    steps = zip(runs["best.step"], runs["history"], strict=True)
    since_best = [sum(line["step"] > best for line in history) for best, history in steps]
    waiting = (runs["stopped"] == ALL_STEPS) & (since_best < runs["trainer.patience"])
    counts = waiting.groupby(level=[*axes, columns]).agg(["sum", "count"])
    early = counts[counts["sum"] > 0]
    places = []
    for at in results.points(axes):
        cells = [(name, (*at.values(), name)) for name in results.experiment.axes[columns]]
        places.append((at, [(name, *early.loc[cell]) for name, cell in cells if cell in early.index]))
    return [(at, shares) for at, shares in places if shares]


def unrecorded(table: ScoreRows) -> list[At]:
    """Rows without a run; for a backbone without any, the backbone alone."""
    empty = [row.at for row in table.rows if row.is_empty]
    missing = [at if at["backbone"] in table.results.backbones else {"backbone": at["backbone"]} for at in empty]
    return [at for place, at in enumerate(missing) if at not in missing[:place]]
