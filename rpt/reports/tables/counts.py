"""Tables of numbers counted in the runs: parameters (table 3b), and what each reparameterization costs."""

from __future__ import annotations

import pandas as pd

from rpt.reports.grid_results import GridResults, pick_cell
from rpt.reports.labels import label
from rpt.reports.layouts import COSTS, PARAMETERS
from rpt.reports.paper import Paper
from rpt.reports.scores import Cell, task_scores
from rpt.reports.table import Line, Notes, Table, Text, make_table


def costs_table(results: GridResults) -> Table:
    """A row for each prompt: parameters trained and kept, the average score over tasks, mean seconds of a run."""
    axes, averages = results.row_axes(("backbone", "prompt")), task_scores(results, {})["average"].to_frame()
    lines: list[Line] = []
    records = []
    for at in results.points(axes):
        runs, cell = pick_cell(results.runs, at), Cell.over(pick_cell(averages, at)["average"])
        counts = {kind: _counts(runs, kind) for kind in ("trained", "kept")}
        single = {kind: numbers[0] if len(numbers) == 1 else None for kind, numbers in counts.items()}
        seconds = float(runs["seconds"].mean()) if len(runs) else None
        records.append(
            {**at, **single} | {"mean": cell.mean, "sd": cell.sd, "n": cell.n, "seconds": seconds, "runs": len(runs)}
        )
        if len(runs):
            lines.append((at, [*map(_written, counts.values()), str(cell), f"{seconds:,.0f}"]))
    columns = ["trained", label("parameters", "kept"), "average", "seconds"]
    return make_table(COSTS, "costs", results, axes, columns, [lines], records, in_report=False)


def parameters_table(results: GridResults, paper: Paper) -> Table:
    """Parameters kept and trained in every row of table 3; at the paper's scale the paper's stand beside them."""
    axes, notes, beside = results.row_axes(("backbone", "prompt")), Notes(), results.experiment.scale == "paper"
    kinds = ("kept", "trained")

    def printed(place: tuple[str, str], kind: str) -> list[Text | str]:
        """The paper's count with its footnotes, at its scale."""
        text = paper.value(PARAMETERS, *place, kind) or ""
        return [Text(text, notes=notes.number(paper.notes(PARAMETERS, *place, kind)))] if beside else []

    ours: list[Line] = []
    records: list[dict[str, object]] = []
    places = []
    for at in results.points(axes):
        runs, place, texts = pick_cell(results.runs, at), paper.place(PARAMETERS, _row_of(at)), list[Text | str]()
        for kind in kinds:
            counts = _counts(runs, kind)
            texts += [_written(counts), *printed(place, kind)]
            mean = float(counts[0]) if len(counts) == 1 else None
            theirs = _spelled_out(paper.value(PARAMETERS, *place, kind)) if beside else None
            gap = None if mean is None or theirs is None else mean - theirs
            records.append(
                {**at, "column": kind, "mean": mean, "sd": None, "n": len(runs), "asked": results.count_asked(at)}
                | {"paper": theirs, "difference": gap}
            )
        ours += [(at, texts)] if beside or len(runs) else []
        places.append(place)
    groups = [ours]
    if beside:
        groups.append([
            (dict.fromkeys(axes, "") | dict(zip(("backbone", "prompt"), place, strict=True)),
             [text for kind in kinds for text in ("", *printed(place, kind))])
            for place in paper.rows_without(PARAMETERS, places)
        ])  # fmt: skip
    titles = [label("parameters", kind) for kind in kinds]
    columns = [text for title in titles for text in (title, *[f"{title}, paper"] * beside)]
    rows = paper.rows_without(PARAMETERS, []) if beside else []
    sourced = [label("prompt", row) for backbone, row in rows if paper.value(PARAMETERS, backbone, row, "source")]
    more = {"notes": notes.texts, "in_report": beside}
    return make_table(PARAMETERS, "parameters", results, axes, columns, groups, records, {"sourced": sourced}, **more)


def _row_of(at: dict[str, str]) -> dict[str, str]:
    return {key: at[key] for key in ("backbone", "prompt")}


def _counts(runs: pd.DataFrame, kind: str) -> list[int]:
    return sorted(set(runs[f"parameters.{kind}"]))


def _written(counts: list[int]) -> str:
    return " or ".join(f"{count:,}" for count in counts)


def _spelled_out(printed: str | None) -> float | None:
    """77K as 77000."""
    return float(printed[:-1]) * {"K": 1e3, "M": 1e6}[printed[-1]] if printed else None
