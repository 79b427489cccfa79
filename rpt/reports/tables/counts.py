"""Tables of other numbers than scores: parameters (table 3b), what each reparameterization costs, how runs learn."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from rpt.reports.grid_results import GridResults, pick_cell
from rpt.reports.labels import label
from rpt.reports.layouts import COSTS, PARAMETERS, title_of
from rpt.reports.paper import Paper, Place, name_axes
from rpt.reports.scores import Cell, task_scores
from rpt.reports.table import Line, Record, Table, Text, make_table, number

KINDS = ("kept", "trained")
NO_RUNS = pd.DataFrame(columns=[f"parameters.{kind}" for kind in KINDS])
LEARNING_COLUMNS = ["first loss", "first score", "best epoch", "best score", "reported"]


def costs_table(results: GridResults) -> Table:
    """A row for each prompt: parameters trained and kept, the average score over tasks, mean seconds of a run."""
    axes, averages = results.row_axes(("backbone", "prompt")), task_scores(results, {})["average"].to_frame()
    lines, records = list[Line](), list[Record]()
    for at in results.points(axes):
        runs, cell = pick_cell(results.runs, at), Cell.over(pick_cell(averages, at)["average"])
        (kept_count, all_kept), (trained_count, all_trained) = (_count(runs, kind) for kind in KINDS)
        seconds = float(runs["seconds"].mean()) if len(runs) else None
        records.append(
            {**at, "trained": trained_count, "kept": kept_count, "mean": cell.mean, "sd": cell.sd, "n": cell.n}
            | {"seconds": seconds, "runs": len(runs)}
        )
        if len(runs):
            lines.append((at, [all_trained, all_kept, str(cell), f"{seconds:,.0f}"]))
    columns = ["trained", label("parameters", "kept"), "average", "seconds"]
    return make_table(COSTS, "costs", results, axes, columns, [lines], records, in_report=False)


def parameters_table(results: GridResults, paper: Paper) -> Table:
    """Parameters kept and trained in every row of table 3; at the paper's scale the paper's stand beside them."""
    axes, beside, notes = results.row_axes(("backbone", "prompt")), results.scale == "paper", dict[str, int]()
    asked, ours, records = results.grid.groupby(list(axes)).size(), list[Line](), list[Record]()

    def cells(runs: pd.DataFrame, place: Place) -> Iterator[Text | str]:
        for kind in KINDS:
            yield _count(runs, kind)[1]
            if beside:
                text = str(paper.value(PARAMETERS, *place, kind) or "")
                yield Text(text, notes=number(paper.notes(PARAMETERS, *place, kind), notes))

    rows = [(at, paper.place(PARAMETERS, at)) for at in results.points(axes)]
    for at, place in rows:
        runs = pick_cell(results.runs, at)
        ours += [(at, [*cells(runs, place)])] if beside or len(runs) else []
        for kind in KINDS:
            (count, _), theirs = _count(runs, kind), _spelled_out(paper, place, kind) if beside else None
            gap = None if count is None or theirs is None else count - theirs
            records.append(
                {**at, "column": kind, "mean": None if count is None else float(count), "sd": None, "n": len(runs)}
                | {"asked": asked[tuple(at.values())], "paper": theirs, "difference": gap}
            )
    theirs_alone = [
        (name_axes(axes, place), [*cells(NO_RUNS, place)])
        for place in (paper.rows_without(PARAMETERS, [place for _, place in rows]) if beside else ())
    ]
    titles = [label("parameters", kind) for kind in KINDS]
    columns = [text for title in titles for text in (title, *[f"{title}, paper"] * beside)]
    every = paper.rows_without(PARAMETERS, []) if beside else []
    sourced = [label("prompt", row) for backbone, row in every if paper.value(PARAMETERS, backbone, row, "source")]
    facts, more = {"sourced": sourced}, {"notes": [*notes], "in_report": beside}
    return make_table(PARAMETERS, "parameters", results, axes, columns, [ours, theirs_alone], records, facts, **more)


def _count(runs: pd.DataFrame, kind: str) -> tuple[int | None, str]:
    """The count of parameters that all runs share, None where they differ or there is none; and all counts in words."""
    counts = sorted(set(runs[f"parameters.{kind}"]))
    return counts[0] if len(counts) == 1 else None, " or ".join(f"{count:,}" for count in counts)


def _spelled_out(paper: Paper, place: Place, kind: str) -> float | None:
    """77K as 77000."""
    printed = paper.value(PARAMETERS, *place, kind)
    return float(str(printed)[:-1]) * {"K": 1e3, "M": 1e6}[str(printed)[-1]] if printed else None


def learning_table(results: GridResults) -> Table:
    """A line for each row and task, with a number for each seed; the CSV has a line for each run."""
    name, axes = results.experiment.name, results.row_axes(("backbone", "task", "prompt"))
    lines, records = list[Line](), list[Record]()
    for at in results.points(axes):
        runs = pd.DataFrame([_learning_of(*run) for run in results.at(at)[["history", "scores.score"]].itertuples()])
        records += [{**at, **run} for run in runs.to_dict("records")]
        if len(runs):
            epochs = [f"{best:g} of {last:g}" for best, last in zip(runs["best_epoch"], runs["epochs"], strict=True)]
            cells = [_listed(runs["first_loss"]), _listed(runs["first"]), ", ".join(epochs), _listed(runs["best"])]
            lines.append((at, [*cells, str(Cell.over(runs["reported"]))]))
    facts = {"experiment": title_of(name).lower()}
    return make_table(
        f"{name}-learning", "learning", results, axes, LEARNING_COLUMNS, [lines], records, facts, in_report=False
    )


def _learning_of(seed: str, history: list[dict[str, float]], reported: float) -> dict[str, object]:
    first, last = history[0], history[-1]
    best = max(history, key=lambda line: line["score"])  # of equal ones the first, as in training
    return {
        "seed": seed, "first_loss": first["loss"], "first": first["score"], "best_epoch": best["epoch"],
        "epochs": last["epoch"], "best": best["score"], "reported": reported,
    }  # fmt: skip


def _listed(values: pd.Series) -> str:
    return ", ".join("–" if pd.isna(value) else f"{value:.1f}" for value in values)
