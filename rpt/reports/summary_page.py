"""A summary as a table and as files: Markdown, LaTeX, figures, and on demand CSV and HTML."""

from __future__ import annotations

from pathlib import Path

from rpt.files import write_atomically
from rpt.reports.render import page, paragraphs
from rpt.reports.scores import Cell
from rpt.reports.summary import FIRST, SHOWN, Summary, find_best, name_of, show
from rpt.reports.table import Table, padded_table, to_csv, to_latex, to_markdown

STATISTICS = ["mean", "sd", "n", "majority", "trained", "seconds"]


def summary_table(summary: Summary) -> Table:
    """A row for each group; what it rests on as the caption, the best value along each numeric axis below."""
    columns = [*FIRST, *(axis for axis in summary.axes if axis not in FIRST)]
    rows, records = [], []
    for line in summary.groups.to_dict("records"):
        names = {name_of(column): show(line[column]) for column in columns}
        score = str(Cell(line["mean"], line["sd"] if line["n"] > 1 else None))
        rows.append(
            {**names, "score": score, "n": str(line["n"]), "majority": f"{line['majority']:.1f}"}
            | {"trained": f"{line['trained']:,}", "seconds": f"{line['seconds']:,.0f}"}
        )
        records.append(names | {name: line[name] for name in STATISTICS})
    best = {
        name_of(axis): [
            (" ".join(map(show, at)) or "all", show(top), mean) for at, top, mean in find_best(summary, axis)
        ]
        for axis in summary.numeric
    }
    seeds, implied = sorted(set(summary.runs["seed"])), [*map(name_of, summary.implied)]
    facts = {"runs": len(summary.runs), "seeds": seeds, "implied": implied, "best": best, "shown": SHOWN}
    caption, *remarks = paragraphs("summary", **facts)
    return padded_table("summary", caption, rows, labels=len(columns), records=records, remarks=remarks)


def write_summary(summary: Summary, folder: Path, csv: Path | None = None, html: bool = False) -> list[Path]:
    """Write summary.md, summary.tex and figures below the folder, and what else is asked for; returns the files.

    Args:
        html: with summary.html, which needs no other file, and the figures as SVG.
    """
    from rpt.reports.figures import image_of  # slow to import
    from rpt.reports.figures.folder import draw_folder

    table, kinds = summary_table(summary), ("png", "svg") if html else ("png",)
    text, figures = to_markdown(table), draw_folder(summary)
    files = {folder / "summary.md": text.encode(), folder / "summary.tex": to_latex(table).encode()}
    if csv is not None:
        files[csv] = to_csv(table).encode()
    images = {f"figures/{name}.{kind}": image_of(figures[name], kind) for name in figures for kind in kinds}
    files |= {folder / name: image for name, image in images.items()}
    if html:
        shown = "".join(f"\n![{name}](figures/{name}.png)\n" for name in figures)
        files[folder / "summary.html"] = page(text + shown, images).encode()
    for path, content in files.items():
        write_atomically(path, content)
    return list(files)
