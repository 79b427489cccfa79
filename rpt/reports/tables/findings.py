"""What a table of scores shows: facts that templates/text/scores.j2 writes above and below it."""

from __future__ import annotations

from rpt.records.schema import ALL_STEPS
from rpt.reports.grid_results import At, GridResults
from rpt.reports.paper import Paper, row_name
from rpt.reports.scores import metrics_of
from rpt.reports.tables.rates_table import limits
from rpt.reports.tables.score_table import Scores

Facts = dict[str, object]
Shares = list[tuple[str, int, int]]  # by column, how many of how many


def find_all(scores: Scores, paper: Paper) -> Facts:
    """Collect all facts for the template."""
    layout, results = scores.layout, scores.results
    families = sorted({config.backbone.family for config in results.configs})
    return {
        "layout": layout, "tasks": results.tasks,
        "metrics": {task: metrics_of(task, layout.metrics, families[-1]) for task in results.tasks},
        "judged": "wsc" in results.tasks and families == ["bert", "t5"],
        "contrasts": contrasts(scores, paper),
        "best_rates": at_best_rates(scores),
        "not_ahead": not_ahead(scores),
        "out_of_budget": out_of_budget(results, scores.axes, layout.columns),
        "unrecorded": [] if results.scale == "paper" else unrecorded(scores),
        "limits": limits(results),
    }  # fmt: skip


def contrasts(scores: Scores, paper: Paper) -> list[Facts]:
    """Compute the differences that the table is about, by column, here and in the paper; only over the same seeds."""
    (axis, high, low), name, compared = scores.layout.contrast, scores.layout.name, list[Facts]()
    for row, at in zip(scores.mean.index, scores.points, strict=True):
        other = tuple((at | {axis: low}).values())
        if at[axis] != high or other not in scores.mean.index:
            continue
        alike = scores.have_same_seeds(row, other)
        ours = (scores.mean.loc[row] - scores.mean.loc[other])[alike].dropna().to_dict()
        backbone, theirs = paper.backbone_beside(name, at["backbone"]), {}
        for column in ours:
            first, second = (paper.number(name, backbone, row_name(each), column) for each in (at, at | {axis: low}))
            is_same = column != "average" or paper.covered_by(scores.results.tasks, name)  # else of other tasks
            if first is not None and second is not None and is_same:
                theirs[column] = first - second
        where = {key: value for key, value in at.items() if key not in (axis, "backbone", "prompt")}
        names = {"here": at["backbone"], "paper": backbone}
        compared += [{"where": where, "ours": ours, "theirs": theirs, **names}] if ours else []
    return compared


def at_best_rates(scores: Scores) -> list[Facts]:
    """Compare rows at their best rates, in a table with learning rates across; the difference that remains, if both
    have tried the same rates with the same seeds."""
    (axis, high, low), places = scores.layout.contrast, list[Facts]()
    means = scores.mean.dropna(how="all") if scores.layout.columns == "lr" else scores.mean.head(0)
    for group, of_group in means.groupby(level=scores.keys, sort=False):
        rows = dict(zip(of_group.index.get_level_values(axis), of_group.index, strict=True))
        best = {name: (of_group.loc[row].max(), of_group.loc[row].idxmax()) for name, row in rows.items()}
        comparable = {high, low} <= {*rows} and scores.have_same_seeds(rows[high], rows[low]).all()
        gap = best[high][0] - best[low][0] if comparable else None
        places.append({"at": dict(zip(scores.keys, group, strict=True)), "best": best, "gap": gap})
    return places


def not_ahead(scores: Scores) -> list[tuple[At, list[str]]]:
    """Find rows that did not learn a task: they score below the majority class or within their spread of it."""
    tasks = scores.floors.columns.drop("average", errors="ignore")
    floors = scores.floors.reindex(scores.mean.index.get_level_values("backbone"))[tasks]
    behind = scores.mean[tasks] - floors.to_numpy() <= scores.sd[tasks].fillna(0.0)
    places = zip(scores.points, behind.to_numpy(), strict=True)
    return [(at, [*tasks[is_behind]]) for at, is_behind in places if is_behind.any()]


def out_of_budget(results: GridResults, axes: list[str], columns: str) -> list[tuple[At, Shares]]:
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


def unrecorded(scores: Scores) -> list[At]:
    """Find rows without a run; name a backbone alone if none of its rows has one."""
    empty = [at for at, is_empty in zip(scores.points, scores.mean.isna().all(axis=1), strict=True) if is_empty]
    missing = [at if at["backbone"] in scores.results.backbones else {"backbone": at["backbone"]} for at in empty]
    return [at for place, at in enumerate(missing) if at not in missing[:place]]
