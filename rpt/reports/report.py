"""The whole page, REPORT.md. On demand it is REPORT.html, which needs no other file."""

from __future__ import annotations

import statistics
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd

from rpt.config.grids import SCALES, Grids, names
from rpt.files import write_atomically
from rpt.records.run_records import RunRecords
from rpt.reports import claims
from rpt.reports.budgets import selection, training
from rpt.reports.figures import all_figures
from rpt.reports.frame import to_frame
from rpt.reports.grid_results import GridResults
from rpt.reports.labels import LABELS
from rpt.reports.layouts import NAMES, file_name, title_of
from rpt.reports.paper import Paper
from rpt.reports.rates import choose_rates
from rpt.reports.render import environment, escape_markdown, page, paragraphs
from rpt.reports.table import backbone_notes, to_csv, to_latex, to_markdown
from rpt.reports.tables import all_tables

Files = dict[str, bytes]  # by their paths below the folder of results
Part = dict[str, Any]  # what the template of the page reads


def build(folder: Path, html: bool = False) -> tuple[Files, list[str]]:
    """Make all files from the records below `folder`: files by their paths below it, and one line per problem.

    There are no files if there is no finished record.

    Args:
        html: with REPORT.html and the figures as SVG.
    """
    runs, paper, files = to_frame(RunRecords(folder)), Paper(), Files()
    problems, sections = list(runs.attrs["problems"]), []
    papers: list[GridResults] = []  # the grids at the paper's scale, recorded or not
    shown: list[GridResults] = []
    for scale in SCALES if len(runs) else ():  # laying out the grids takes a while
        experiments = Grids(scale)
        grids = [GridResults.join(experiments.lay_out(name), runs) for name in names()]
        papers += grids if scale == "paper" else []
        grids = _worth_showing(grids)
        problems += [line for grid in grids for line in grid.mixtures()]
        chosen = [choose_rates(grid) for grid in grids]
        shown += chosen
        parts = [_part(*both, paper, files, html) for both in zip(grids, chosen, strict=True)]
        sections += [_section(scale, grids, parts)] if parts else []
    if not sections:
        return files, problems
    lines = claims.check_claims(shown, papers, paper)
    content = {
        "head": _head(runs),
        "claims": lines,
        "scales": [scale for scale in claims.SCALES if any(line.judgements[scale] for line in lines)],
        "notes": [*dict.fromkeys(note for results in shown for note in backbone_notes(results))],
        "sections": sections,
        "problems": problems,
    }
    template = environment(escape_markdown).get_template("report.md.j2")
    files["REPORT.md"] = template.render(content, full=False).encode()
    if html:
        files["REPORT.html"] = page(template.render(content, full=True), files).encode()
    return files, problems


def write(folder: Path, html: bool = False) -> tuple[list[Path], list[Path], list[str]]:
    """Write the files of `build`, and remove tables and figures whose records are gone.

    Returns:
        what was written, what was removed, problems.
    """
    files, problems = build(folder, html)
    written = [folder / name for name in files]
    for path, content in zip(written, files.values(), strict=True):
        if not path.exists() or path.read_bytes() != content:
            write_atomically(path, content)
    gone = {file_name(name, scale) for name in NAMES for scale in SCALES} - {path.stem for path in written}
    ours = [f"tables/{name}.{ending}" for name in gone for ending in ("md", "csv", "tex")]
    ours += [f"figures/{name}.{ending}" for name in gone for ending in ("png", "svg")]
    stale = sorted(folder / name for name in ours if (folder / name).is_file()) if files else []
    for path in stale:
        path.unlink()
    return written, stale, problems


def _worth_showing(grids: list[GridResults]) -> list[GridResults]:
    """Choose grids that are complete, or have a run that no grid before them has."""
    known, shown = set[str](), []
    for grid in grids:
        folders = {*grid.runs.get("folder", ())}
        if folders - known or (folders and len(grid.runs) == len(grid.configs)):
            shown.append(grid)
        known |= folders
    return shown


def _part(grid: GridResults, chosen: GridResults, paper: Paper, files: Files, html: bool) -> Part:
    """Make an experiment's tables and figures at the chosen rates, and add them to the files."""
    tables, plots = [*all_tables(chosen, paper)], all_figures(chosen, paper, html)
    for table in tables:
        texts = {"md": to_markdown(table), "csv": to_csv(table), "tex": to_latex(table)}
        files |= {f"tables/{table.name}.{ending}": text.encode() for ending, text in texts.items()}
    for plot in plots:
        files |= {f"figures/{plot.name}.{ending}": image for ending, image in plot.images.items()}
    return {
        "title": title_of(grid.experiment.name), "commands": grid.experiment.commands,
        "recorded": len(grid.runs), "asked": len(grid.configs),
        "training": paragraphs("training", training=training(chosen)), "tables": tables, "plots": plots,
    }  # fmt: skip


def _section(scale: str, grids: list[GridResults], parts: list[Part]) -> Part:
    """Join the parts of a scale. selection: the rows that choose the best epochs. training: what most parts share."""
    usual = statistics.mode(tuple(part["training"]) for part in parts)
    shared = {"selection": selection(grids), "training": [*usual], "warning": LABELS["warning"].get(scale, "")}
    return {"scale": scale, "parts": parts} | shared


def _head(runs: pd.DataFrame) -> Part:
    """Collect facts about all runs."""
    commits = runs.reindex(columns=["commit"])["commit"].fillna("unknown")
    return {
        "runs": len(runs),
        "kinds": Counter("in miniature" if miniature else "on SuperGLUE" for miniature in runs["data.miniature"]),
        "hours": runs["seconds"].sum() / 3600,
        "seeds": sorted(set(runs["seed"])),
        "devices": Counter(runs["device"]),
        "commits": sorted({commit.partition("+")[0][:10] for commit in commits}),
        "changed": int(commits.str.contains("+", regex=False).sum()),
    }
