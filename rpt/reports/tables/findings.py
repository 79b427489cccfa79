"""What a table of scores shows, as data: the template scores.j2 says it below the table."""

from __future__ import annotations

from typing import Any

from rpt.records.schema import ALL_STEPS
from rpt.reports.grid_results import GridResults
from rpt.reports.layouts import METHODS
from rpt.reports.paper import Paper, row_name
from rpt.reports.scores import Cell
from rpt.reports.tables.score_rows import At, Cells, ScoreRows

Shares = list[tuple[str, int, int]]  # by column, how many of how many
Places = list[tuple[At, list[str]]]  # rows, each with some of its columns


def contrasts(table: ScoreRows, paper: Paper) -> list[dict[str, Any]]:
    """The differences that the table is about, by column: here and in the paper."""
    layout = table.layout
    axis, high, low = layout.contrast
    compared = []
    for at, cells in table.rows:
        other = {**at, axis: low}
        against = table.cells_at(other) if at[axis] == high else None
        if against is None:
            continue
        ours = {column: cell.minus(against[column].mean) for column, cell in cells.items()}
        backbone = paper.backbone_beside(layout.name, at["backbone"])
        theirs = {}
        for column in cells:
            first, second = (paper.value(layout.name, backbone, row_name(row), column) for row in (at, other))
            if None not in (first, second):
                theirs[column] = first - second
        if not paper.covered_by(table.results.experiment.axes["task"], layout.name):
            theirs.pop("average", None)  # it is over other tasks
        where = {key: value for key, value in at.items() if key not in (axis, "backbone", "prompt")}
        ours = {column: gap for column, gap in ours.items() if gap is not None}
        if ours:
            compared.append({"where": where, "ours": ours, "here": at["backbone"], "theirs": theirs, "paper": backbone})
    return compared


def at_best_rates(table: ScoreRows) -> list[dict[str, Any]]:
    """Where learning rates stand across: each row at the one where its score is best, and what is then left of the
    difference that the table is about."""
    if table.layout.columns != "lr":
        return []
    axis, high, low = table.layout.contrast
    groups: dict[tuple[str, ...], dict[str, tuple[float, str]]] = {}
    keys = [key for key in table.layout.groups if key in table.axes]
    for at, cells in table.rows:
        scored = [(cell.mean, column) for column, cell in cells.items() if cell.mean is not None]
        if scored:
            groups.setdefault(tuple(at[key] for key in keys), {})[at[axis]] = max(scored)
    return [
        {"at": dict(zip(keys, group, strict=True)), "best": best,
         "gap": best[high][0] - best[low][0] if high in best and low in best else None}
        for group, best in groups.items()
    ]  # fmt: skip


def not_ahead(table: ScoreRows) -> Places:
    """The rows that have not learnt a task: within their spread of the majority class, or below it."""

    def fails(cell: Cell, floor: float) -> bool:
        return cell.mean is not None and cell.mean - floor <= (cell.sd or 0.0)  # False beside NaN

    places = [
        (at, [task for task in table.floors.columns if fails(cells[task], table.floors.at[at["backbone"], task])])
        for at, cells in table.rows
    ]
    return [(at, tasks) for at, tasks in places if tasks]


def spans(table: ScoreRows) -> dict[str, list[dict[str, Any]]]:
    """Whether a task can tell methods apart: by backbone each task's floor, prompts' lowest and highest, best row."""
    found: dict[str, list[dict[str, Any]]] = {}
    for backbone in table.floors.index:
        rows = [(at, cells) for at, cells in table.rows if at["backbone"] == backbone]
        for task in table.floors.columns:
            scores = {at["prompt"]: cells[task].mean for at, cells in rows if cells[task].mean is not None}
            prompts = [mean for prompt, mean in scores.items() if prompt not in METHODS]
            if len(prompts) > 1:
                floor = float(table.floors.at[backbone, task])
                span = {"task": task, "floor": floor, "low": min(prompts), "high": max(prompts)}
                found.setdefault(backbone, []).append(span | {"best": max(scores.values())})
    return found


def out_of_budget(
    results: GridResults, axes: tuple[str, ...], columns: str
) -> list[tuple[At, list[tuple[str, int, int]]]]:
    """The runs whose epochs ended before their patience did: they may not have had enough. By row and column, how many
    of how many. Where both ended with the same evaluation, more epochs would have changed nothing.

    Args:
        axes: those that name a row. columns: the one across.
    """
    runs = results.runs.reindex(columns=["stopped", "trainer.patience", "best.step", "history"])
    runs = runs[runs["trainer.patience"].notna()]
    if runs.empty:
        return []
    since_best = [
        sum(line["step"] > best for line in history)
        for best, history in zip(runs["best.step"], runs["history"], strict=True)
    ]
    waiting = (runs["stopped"] == ALL_STEPS) & (since_best < runs["trainer.patience"])
    counts = waiting.groupby(level=[*axes, columns]).agg(["sum", "count"])
    early = counts[counts["sum"] > 0]
    places = []
    for at in results.points(axes):
        cells = [(name, (*at.values(), name)) for name in results.experiment.axes[columns]]
        places.append((at, [(name, *early.loc[cell]) for name, cell in cells if cell in early.index]))
    return [(at, shares) for at, shares in places if shares]


def unrecorded(table: ScoreRows) -> list[At]:
    """The rows without any run; where a backbone has none at all, the backbone alone."""
    recorded = table.results.backbones
    missing = [at if at["backbone"] in recorded else {"backbone": at["backbone"]}
               for at, cells in table.rows if is_empty(cells)]  # fmt: skip
    return [at for place, at in enumerate(missing) if at not in missing[:place]]


def is_empty(cells: Cells) -> bool:
    return all(cell.mean is None for cell in cells.values())


def best(cells: list[Cell]) -> Cell | None:
    """The cell that is ahead of the next by more than either's standard deviation; None where that cannot be said."""
    ranked = sorted((cell for cell in cells if cell.mean is not None), key=lambda cell: -cell.mean)
    if len(ranked) < 2 or ranked[0].sd is None or ranked[1].sd is None:
        return None
    first, second = ranked[:2]
    return first if first.mean - second.mean > max(first.sd, second.sd) else None
