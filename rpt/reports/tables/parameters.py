"""Table 3b. Counted in the runs, beside the paper's."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from rpt.reports.grid_results import GridResults, pick_cell
from rpt.reports.labels import label
from rpt.reports.layouts import PARAMETERS
from rpt.reports.paper import Number, Paper
from rpt.reports.table import Notes, Table, Text, make_table, row_labels

COLUMNS = ("kept", "trained")


def parameters_table(results: GridResults, paper: Paper) -> Table:
    """Counts of every row of table 3; at the paper's scale the paper's stand beside them."""
    axes, beside, notes = results.row_axes(("backbone", "prompt")), results.experiment.scale == "paper", Notes()
    lines: list[list[Text]] = []
    records: list[dict[str, object]] = []
    shown = []
    for at in results.points(axes):
        runs, line = pick_cell(results.runs, at), row_labels(results, at)
        place = paper.place(PARAMETERS, {key: at[key] for key in ("backbone", "prompt")})
        for column in COLUMNS:
            counts = sorted(set(runs[f"parameters.{column}"]))
            printed = paper.value(PARAMETERS, *place, column) if beside else None
            line.append(Text(" or ".join(f"{count:,}" for count in counts)))
            line += _printed(paper, place, column, notes) if beside else []
            ours, theirs = float(counts[0]) if len(counts) == 1 else None, _spelled_out(printed)
            records.append(
                {**at, "column": column, "mean": ours, "sd": None, "n": len(runs), "asked": results.count_asked(at)}
                | {"paper": theirs, "difference": None if ours is None or theirs is None else ours - theirs}
            )
        lines += [line] if beside or len(runs) else []
        shown.append(place)
    blocks = [lines]
    if beside:
        blocks.append([
            [Text(label("backbone", backbone)), Text(label("prompt", row)), *[Text()] * (len(axes) - 2)]
            + [text for column in COLUMNS for text in (Text(), *_printed(paper, (backbone, row), column, notes))]
            for backbone, row in paper.rows_without(PARAMETERS, shown)
        ])  # fmt: skip
    titles = [label("parameters", column) for column in COLUMNS]
    columns = itertools.chain(*([title, f"{title}, paper"] if beside else [title] for title in titles))
    places = paper.rows_without(PARAMETERS, []) if beside else ()
    sourced = [label("prompt", row) for backbone, row in places if paper.value(PARAMETERS, backbone, row, "source")]
    facts, more = {"sourced": sourced}, {"notes": notes.texts, "in_report": beside}
    return make_table(PARAMETERS, "parameters", results, axes, [*columns], blocks, records, facts, **more)


def _printed(paper: Paper, place: tuple[str, str], column: str, notes: Notes) -> Iterator[Text]:
    """The paper's count, with its footnotes."""
    value = paper.value(PARAMETERS, *place, column)
    yield Text(value or "", notes=notes.number(paper.notes(PARAMETERS, *place, column)))


def _spelled_out(printed: Number) -> float | None:
    """77K as 77000."""
    if not isinstance(printed, str):
        return None
    return float(printed[:-1]) * {"K": 1e3, "M": 1e6}[printed[-1]]
