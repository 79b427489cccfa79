"""Tables of numbers counted in the runs: parameters (table 3b), and what each reparameterization costs."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from rpt.reports.grid_results import At, GridResults, pick_cell
from rpt.reports.labels import label
from rpt.reports.layouts import COSTS, PARAMETERS
from rpt.reports.paper import Paper, Place
from rpt.reports.scores import Cell, task_scores
from rpt.reports.table import Line, Record, Table, Text, make_table, number

KINDS = ("kept", "trained")


def costs_table(results: GridResults) -> Table:
    """A row for each prompt: parameters trained and kept, the average score over tasks, mean seconds of a run."""
    axes, averages = results.row_axes(("backbone", "prompt")), task_scores(results, {})["average"].to_frame()
    lines, records = list[Line](), list[Record]()
    for at in results.points(axes):
        runs, cell = pick_cell(results.runs, at), Cell.over(pick_cell(averages, at)["average"])
        seconds = float(runs["seconds"].mean()) if len(runs) else None
        records.append(
            {**at, "trained": _only(runs, "trained"), "kept": _only(runs, "kept"), "mean": cell.mean, "sd": cell.sd}
            | {"n": cell.n, "seconds": seconds, "runs": len(runs)}
        )
        if len(runs):
            lines.append((at, [_listed(runs, "trained"), _listed(runs, "kept"), str(cell), f"{seconds:,.0f}"]))
    columns = ["trained", label("parameters", "kept"), "average", "seconds"]
    return make_table(COSTS, "costs", results, axes, columns, [lines], records, in_report=False)


def parameters_table(results: GridResults, paper: Paper) -> Table:
    """Parameters kept and trained in every row of table 3; at the paper's scale the paper's stand beside them."""
    axes, notes, beside = results.row_axes(("backbone", "prompt")), dict[str, int](), results.scale == "paper"

    def cells(at: At, place: Place) -> Iterator[Text | str]:
        for kind in KINDS:
            yield _listed(pick_cell(results.runs, at), kind)
            if beside:
                text = str(paper.value(PARAMETERS, *place, kind) or "")
                yield Text(text, notes=number(paper.notes(PARAMETERS, *place, kind), notes))

    rows, records = [(at, paper.place(PARAMETERS, at)) for at in results.points(axes)], list[Record]()
    asked = results.grid.groupby(list(axes)).size()
    for at, place in rows:
        runs = pick_cell(results.runs, at)
        for kind in KINDS:
            ours, theirs = _only(runs, kind), _spelled_out(paper, place, kind) if beside else None
            gap = None if ours is None or theirs is None else ours - theirs
            records.append(
                {**at, "column": kind, "mean": None if ours is None else float(ours), "sd": None, "n": len(runs)}
                | {"asked": asked[tuple(at.values())], "paper": theirs, "difference": gap}
            )
    groups = [[(at, [*cells(at, place)]) for at, place in rows if beside or len(pick_cell(results.runs, at))]]
    if beside:
        alone = paper.rows_without(PARAMETERS, [place for _, place in rows])
        names = [dict.fromkeys(axes, "") | dict(zip(("backbone", "prompt"), place, strict=True)) for place in alone]
        groups.append([(at, [*cells(at, place)]) for at, place in zip(names, alone, strict=True)])
    titles = [label("parameters", kind) for kind in KINDS]
    columns = [text for title in titles for text in (title, *[f"{title}, paper"] * beside)]
    every = paper.rows_without(PARAMETERS, []) if beside else []
    sourced = [label("prompt", row) for backbone, row in every if paper.value(PARAMETERS, backbone, row, "source")]
    more = {"notes": [*notes], "in_report": beside}
    return make_table(PARAMETERS, "parameters", results, axes, columns, groups, records, {"sourced": sourced}, **more)


def _counts(runs: pd.DataFrame, kind: str) -> list[int]:
    return sorted(set(runs[f"parameters.{kind}"]))


def _listed(runs: pd.DataFrame, kind: str) -> str:
    return " or ".join(f"{count:,}" for count in _counts(runs, kind))


def _only(runs: pd.DataFrame, kind: str) -> int | None:
    """The count that all runs share; None where they differ or there is none."""
    counts = _counts(runs, kind)
    return counts[0] if len(counts) == 1 else None


def _spelled_out(paper: Paper, place: Place, kind: str) -> float | None:
    """77K as 77000."""
    printed = paper.value(PARAMETERS, *place, kind)
    return float(str(printed)[:-1]) * {"K": 1e3, "M": 1e6}[str(printed)[-1]] if printed else None
