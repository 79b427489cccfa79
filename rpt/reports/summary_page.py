"""A summary as files. summary.md, a figure along each numeric setting, and a CSV."""

from __future__ import annotations

import io
from pathlib import Path

from rpt.files import write_atomically
from rpt.reports.render import write_text
from rpt.reports.scores import Cell
from rpt.reports.summary import SHOWN, Summary, find_best, name_of, show

STATISTICS = ["mean", "sd", "n", "trained", "seconds"]


def to_markdown(summary: Summary) -> str:
    """The table, what it rests on, and the best value along each numeric axis."""
    rows = [[*map(name_of, summary.axes), "score", "n", "trained", "seconds"]]
    for line in summary.groups.to_dict("records"):
        score = Cell(line["mean"], line["sd"] if line["n"] > 1 else None)
        numbers = [str(score), str(line["n"]), f"{line['trained']:,}", f"{line['seconds']:,.0f}"]
        rows.append([*(show(line[axis]) for axis in summary.axes), *numbers])
    best = {}
    for axis in summary.numeric:
        tops = [(at, line.loc[line["mean"].idxmax()]) for at, line in find_best(summary, axis)]
        best[name_of(axis)] = [([*map(show, at.values())], show(top[axis]), top["mean"]) for at, top in tops]
    return write_text("summary",
        header=rows[0], rows=rows[1:], widths=[max(map(len, column)) for column in zip(*rows, strict=True)],
        runs=len(summary.runs), seeds=sorted(set(summary.runs["seed"])), implied=[*map(name_of, summary.implied)],
        best=best, shown=SHOWN,
    )  # fmt: skip


def to_csv(summary: Summary) -> str:
    """The groups, unrounded."""
    buffer = io.StringIO()
    summary.groups[[*summary.axes, *STATISTICS]].rename(columns=name_of).to_csv(buffer, index=False)
    return buffer.getvalue()


def write_summary(summary: Summary, folder: Path, csv: Path | None = None) -> list[Path]:
    """summary.md and figures/along-AXIS.png below the folder, and the CSV where it is wanted; what was written."""
    files = {folder / "summary.md": to_markdown(summary).encode()}
    if csv is not None:
        files[csv] = to_csv(summary).encode()
    if summary.numeric:
        from rpt.reports.figures.along import draw_along  # slow to import

        for axis in summary.numeric:
            if (image := draw_along(summary, axis)) is not None:
                files[folder / "figures" / f"along-{name_of(axis).replace('.', '-')}.png"] = image
    for path, content in files.items():
        write_atomically(path, content)
    return list(files)


def describe_nothing(folder: Path, problems: list[str]) -> str:
    """What lies below a folder without a finished run."""
    failed = sum("failed run" in problem for problem in problems)
    under_way = len(list(folder.rglob("checkpoint.safetensors")))
    what = [
        f"{failed} failed" if failed else "",
        f"{len(problems) - failed} left out" if len(problems) > failed else "",
        f"{under_way} not finished (the same command goes on)" if under_way else "",
    ]
    listed = ", ".join(filter(None, what)) or "no run at all; give the folder that results= was in training"
    return f"There is no finished run below {folder}: {listed}."
