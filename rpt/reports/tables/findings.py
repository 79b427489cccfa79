"""What a table of scores shows: facts that templates/text/scores.j2 writes above and below it."""

from __future__ import annotations

from rpt.records.schema import ALL_STEPS
from rpt.reports.grid_results import At, GridResults
from rpt.reports.paper import Paper, row_name
from rpt.reports.scores import metrics_of
from rpt.reports.tables.rates_table import limits
from rpt.reports.tables.score_table import ScoreRows

Facts = dict[str, object]
Shares = list[tuple[str, int, int]]  # by column, how many of how many


def find_all(table: ScoreRows, paper: Paper) -> Facts:
    """Collect all facts for the template."""
    layout, results = table.layout, table.results
    families = sorted({config.backbone.family for config in results.configs})
    return {
        "layout": layout, "tasks": results.tasks,
        "metrics": {task: metrics_of(task, layout.metrics, families[-1]) for task in results.tasks},
        "judged": "wsc" in results.tasks and families == ["bert", "t5"],
        "contrasts": contrasts(table, paper),
        "best_rates": at_best_rates(table),
        "not_ahead": not_ahead(table),
        "out_of_budget": out_of_budget(results, table.axes, layout.columns),
        "unrecorded": [] if results.scale == "paper" else unrecorded(table),
        "limits": limits(results),
    }  # fmt: skip


def contrasts(table: ScoreRows, paper: Paper) -> list[Facts]:
    """Compute the differences that the table is about, by column, here and in the paper; only of as many seeds."""
    layout, compared = table.layout, []
    axis, high, low = layout.contrast
    lower = {tuple(row.at.items()): row for row in table.rows if row.at[axis] == low}
    for row in (row for row in table.rows if row.at[axis] == high):
        other = {**row.at, axis: low}
        against = lower.get(tuple(other.items()))
        pairs = [(name, cell, against.cells[name]) for name, cell in row.cells.items()] if against else []
        gaps = {name: cell.minus(below.mean) for name, cell, below in pairs if cell.n == below.n}
        ours = {column: gap for column, gap in gaps.items() if gap is not None}
        backbone, theirs = paper.backbone_beside(layout.name, row.at["backbone"]), {}
        for column in ours:
            first, second = (paper.number(layout.name, backbone, row_name(at), column) for at in (row.at, other))
            is_same = column != "average" or paper.covered_by(table.results.tasks, layout.name)  # else of other tasks
            if first is not None and second is not None and is_same:
                theirs[column] = first - second
        where = {key: value for key, value in row.at.items() if key not in (axis, "backbone", "prompt")}
        names = {"here": row.at["backbone"], "paper": backbone}
        compared += [{"where": where, "ours": ours, "theirs": theirs, **names}] if ours else []
    return compared


def at_best_rates(table: ScoreRows) -> list[Facts]:
    """Compare rows at their best rates, in a table with learning rates across; the difference that remains."""
    axis, high, low = table.layout.contrast
    keys, places = [key for key in table.layout.groups if key in table.axes], list[Facts]()
    for group in table.groups if table.layout.columns == "lr" else ():
        scores = {
            row.at[axis]: [(cell.mean, lr) for lr, cell in row.cells.items() if cell.mean is not None] for row in group
        }
        best = {name: max(of_row) for name, of_row in scores.items() if of_row}
        gap = best[high][0] - best[low][0] if high in best and low in best else None
        places += [{"at": {key: group[0].at[key] for key in keys}, "best": best, "gap": gap}] if best else []
    return places


def not_ahead(table: ScoreRows) -> list[tuple[At, list[str]]]:
    """Find rows that did not learn a task: they score below the majority class or within their spread of it."""
    places = []
    for row in table.rows:
        floors = {task: table.floors.at[row.at["backbone"], task] for task in table.floors if task != "average"}
        gaps = {task: row.cells[task].minus(floor) for task, floor in floors.items()}
        tasks = [task for task, gap in gaps.items() if gap is not None and gap <= (row.cells[task].sd or 0.0)]
        places += [(row.at, tasks)] if tasks else []
    return places


def out_of_budget(results: GridResults, axes: tuple[str, ...], columns: str) -> list[tuple[At, Shares]]:
    """Count the runs that more epochs might have improved, because their epochs ended before their patience: by row and
    column, how many of how many. If both ended with the same evaluation, more epochs would have changed nothing.

    Args:
        axes: those that name a row. columns: the one across.
    """
    runs = results.runs.reindex(columns=["stopped", "trainer.patience", "best.step", "history"])
    runs = runs[runs["trainer.patience"].notna()]
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
    """Find rows without a run; name a backbone alone if none of its rows has one."""
    empty = [row.at for row in table.rows if row.is_empty]
    missing = [at if at["backbone"] in table.results.backbones else {"backbone": at["backbone"]} for at in empty]
    return [at for place, at in enumerate(missing) if at not in missing[:place]]
