"""Table 3b: parameters counted in the runs, beside the paper's."""

from __future__ import annotations

import itertools

from rpt.reports.captions import captioned
from rpt.reports.grid_results import GridResults
from rpt.reports.labels import label
from rpt.reports.layouts import PARAMETERS, file_name
from rpt.reports.paper import NAMES, Number, Paper, row_name
from rpt.reports.tables.table import Notes, Table, Text

COLUMNS = ("kept", "trained")


def parameters_table(results: GridResults, paper: Paper) -> Table:
    """Counts of every row of table 3; at the paper's scale the paper's stand beside them."""
    scale, axes = results.experiment.scale, results.row_axes(("backbone", "prompt"))
    beside, notes = scale == "paper", Notes()
    by_row = results.runs.groupby(level=list(axes))
    blocks: list[list[list[Text]]] = [[]]
    records, shown = [], set()
    for at in results.points(axes):
        row = tuple(at.values())
        runs = by_row.get_group(row) if row in by_row.groups else results.runs.iloc[:0]
        backbone = NAMES.get(at["backbone"], at["backbone"])
        printed_at = (backbone, paper.row(PARAMETERS, backbone, row_name({"prompt": at["prompt"]})))
        shown.add(printed_at)
        line = [Text(label(key, value)) for key, value in at.items()]
        for column in COLUMNS:
            counts = sorted(set(runs[f"parameters.{column}"]))
            printed = paper.value(PARAMETERS, *printed_at, column) if beside else None
            line.append(Text(" or ".join(f"{count:,}" for count in counts)))
            if beside:
                line.append(Text(printed or "", notes=notes.number(paper.notes(PARAMETERS, *printed_at, column))))
            ours, theirs = float(counts[0]) if len(counts) == 1 else None, _spelled_out(printed)
            records.append(
                {"table": PARAMETERS, "scale": scale, **at, "column": column, "mean": ours, "sd": None}
                | {"n": len(runs), "asked": results.count_asked(at), "paper": theirs}
                | {"difference": None if ours is None or theirs is None else ours - theirs}
            )
        blocks[0].append(line)
    if beside:
        blocks.append(_rows_of_the_paper_alone(paper, shown, notes, len(axes)))
    rows = [(backbone, row) for backbone, of in paper.rows(PARAMETERS).items() for row in of]
    sourced = [label("prompt", row) for backbone, row in rows if paper.value(PARAMETERS, backbone, row, "source")]
    titles = [label("parameters", column) for column in COLUMNS]
    columns = [[title, f"{title}, paper"] if beside else [title] for title in titles]
    return Table(
        name=file_name(PARAMETERS, scale),
        caption=captioned("Table 3b. Parameters, 100 prompt tokens: kept after training, and trained.", scale),
        header=[*(label("axis", key) for key in axes), *itertools.chain(*columns)],
        labels=len(axes),
        blocks=blocks,
        records=records,
        notes=notes.texts,
        remarks=[f"Pre-trained on source tasks: {', '.join(sourced)}."] if beside else [],
    )


def _rows_of_the_paper_alone(
    paper: Paper, shown: set[tuple[str, str]], notes: Notes, n_labels: int
) -> list[list[Text]]:
    block = []
    for backbone, rows in paper.rows(PARAMETERS).items():
        for row in (row for row in rows if (backbone, row) not in shown):
            line = [Text(label("backbone", backbone)), Text(label("prompt", row)), *[Text()] * (n_labels - 2)]
            for column in COLUMNS:
                value = paper.value(PARAMETERS, backbone, row, column)
                noted = notes.number(paper.notes(PARAMETERS, backbone, row, column))
                line += [Text(), Text(value or "", notes=noted)]
            block.append(line)
    return block


def _spelled_out(printed: Number) -> float | None:
    """77K as 77000."""
    if not isinstance(printed, str):
        return None
    return float(printed[:-1]) * {"K": 1e3, "M": 1e6}[printed[-1]]
