"""One page with every table and figure: results/REPORT.md, and REPORT.html, which needs no other file."""

from __future__ import annotations

import base64
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from markdown import markdown

from rpt.config.grids import SCALES, Grids, names
from rpt.files import write_atomically
from rpt.records.run_records import RunRecords
from rpt.records.schema import RunRecord
from rpt.reports import figures, tables
from rpt.reports.claims import RULE, check_claims
from rpt.reports.figures import Plot, all_figures
from rpt.reports.formats import Table, to_csv, to_latex, to_markdown
from rpt.reports.grid_results import GridResults
from rpt.reports.paper import Paper

HEADINGS = {"paper": "SuperGLUE, the paper's scale", "laptop": "SuperGLUE on a laptop", "mini": "Miniature"}
ABOUT = {
    "paper": "SuperGLUE's rows and the paper's backbones. Each number of ours stands over the paper's, as printed, and "
    "the difference (ours minus the paper's). **Bold**: the best prompt of its group, where it is ahead of the next by "
    "more than the larger of their standard deviations.",
    "laptop": f"{tables.LAPTOP} Beside the paper: what its comparison gives on a small encoder within a small budget.",
    "mini": f"{tables.MINIATURE} It shows whether effects appear, not how large they are on SuperGLUE; the paper's own "
    "differences are given below the tables in words. **Bold**: the best prompt of its group, where it is ahead of the "
    "next by more than the larger of their standard deviations.",
}


@dataclass(frozen=True)
class Part:
    """What one experiment gives."""

    study: GridResults
    tables: list[Table]
    plots: list[Plot]


def build(folder: Path) -> tuple[dict[str, bytes], list[str]]:
    """Every file that the records under `folder` give, by path below it, and one line per problem.

    No files where there is no finished record.
    """
    records, paper = RunRecords(folder), Paper()
    problems, files = list(records.problems), {}
    sections = []
    for scale in SCALES if list(records) else ():  # laying out the grids takes a while
        grids = Grids(scale)
        studies = _worth_showing([GridResults.of(grids.lay_out(name), records) for name in names()])
        problems += [line for study in studies for line in study.mixtures()]
        parts = [Part(study, tables.all_tables(study, paper), all_figures(study, paper)) for study in studies]
        for part in parts:
            files |= _files(part)
        if studies:
            sections.append(_section(scale, parts, paper))
    if sections:
        text = "\n\n".join([_head(list(records)), *sections, _problems(problems)]) + "\n"
        files["REPORT.md"], files["REPORT.html"] = text.encode(), _html(text, files).encode()
    return files, problems


def _worth_showing(studies: list[GridResults]) -> list[GridResults]:
    """Those that are complete, or have a run of their own: not what merely stands on a few runs of those before."""
    known: set[Path] = set()
    shown = []
    for study in studies:
        folders = {entry.folder for entry in study.entries.values()}
        if folders - known or (folders and len(study.entries) == len(study.experiment.jobs)):
            shown.append(study)
        known |= folders
    return shown


def write(folder: Path) -> tuple[list[Path], list[Path], list[str]]:
    """Write what `build` gives, and remove tables and figures that no record stands behind any more.

    Returns:
        what was written, what was removed, problems.
    """
    files, problems = build(folder)
    written = [folder / name for name in files]
    for path, content in zip(written, files.values(), strict=True):
        if not path.exists() or path.read_bytes() != content:
            write_atomically(path, content)
    ours = {tables.file_name(name, scale) for name in (*tables.FILES, *figures.FILES) for scale in SCALES}
    stale = [
        path
        for path in sorted([*folder.glob("tables/*"), *folder.glob("figures/*")])
        if files and path.stem in ours and path not in written
    ]
    for path in stale:
        path.unlink()
    return written, stale, problems


def _files(part: Part) -> dict[str, bytes]:
    files = {}
    for table in part.tables:
        for ending, text in (("md", to_markdown(table)), ("csv", to_csv(table)), ("tex", to_latex(table))):
            files[f"tables/{table.name}.{ending}"] = text.encode()
    for plot in part.plots:
        files[f"figures/{plot.name}.png"], files[f"figures/{plot.name}.svg"] = plot.png, plot.svg
    return files


def _head(entries: list[RunRecord]) -> str:
    hours = sum(entry.result["seconds"] for entry in entries) / 3600
    counts = Counter("in miniature" if e.result["data"]["miniature"] else "on SuperGLUE" for e in entries)
    seeds = sorted({entry.config["seed"] for entry in entries})
    devices = Counter(entry.result["device"] for entry in entries)
    commits = Counter(str(entry.result.get("commit") or "unknown") for entry in entries)
    return "\n".join(
        [
            "# Residual Prompt Tuning: what the run records say",
            "",
            "Made from the records under `runs/` and the paper's numbers in `paper.yaml` by `make table`, which trains "
            "nothing; every number can be traced to the runs below. All scores are on validation rows, as in the "
            "paper: the best epoch is chosen on the rows that are reported (`protocol=paper`).",
            "",
            f"* Runs: {len(entries)} ({', '.join(f'{n} {what}' for what, n in sorted(counts.items()))})",
            f"* Time: {hours:.1f} hours, summed over runs",
            f"* Seeds: {', '.join(map(str, seeds))}",
            f"* Devices: {_counted(devices)}",
            f"* Code: {_counted(Counter({_short(commit): n for commit, n in commits.items()}))}",
        ]
    )


def _short(commit: str) -> str:
    """Ten digits of the hash, and whether files differed from it."""
    sha, plus, changes = commit.partition("+")
    return f"{sha[:10]}{plus}{changes}"


def _counted(counter: Counter[str]) -> str:
    return ", ".join(f"{name} ({n} runs)" for name, n in sorted(counter.items()))


def _section(scale: str, parts: list[Part], paper: Paper) -> str:
    blocks = [f"## {HEADINGS[scale]}", ABOUT[scale], "### Which of the paper's claims show here", RULE]
    claims = check_claims([part.study for part in parts], paper)
    lines = [f"| {' | '.join(line)} |" for line in claims]
    header = "| claim | from | backbone | here | the paper's difference | verdict |"
    blocks.append("\n".join([header, "|--|--|--|--|--|--|", *lines]))
    for part in parts:
        blocks.append(f"### {_spaced(part.study.experiment.name)}")
        blocks += [_provenance(part.study), *(to_markdown(table).strip() for table in part.tables)]
        blocks += [f"![{plot.caption}](figures/{plot.name}.png)\n\n*{plot.caption}*" for plot in part.plots]
    return "\n\n".join(blocks)


def _spaced(name: str) -> str:
    """table1 as Table 1."""
    word = name.rstrip("0123456789")
    return f"{word.capitalize()} {name[len(word) :]}"


def _provenance(study: GridResults) -> str:
    entries = study.entries.values()
    hours = sum(entry.result["seconds"] for entry in entries) / 3600
    recorded, asked = len(study.entries), len(study.experiment.jobs)
    commands = ", ".join(f"`{command}`" for command in study.experiment.commands)
    return f"{commands}, then `make table`. {recorded} of {asked} runs recorded, {hours:.2f} hours."


def _problems(problems: list[str]) -> str:
    lines = [f"* {problem}" for problem in problems] or ["None: every record could be read and used."]
    return "\n".join(["## Problems", "", *lines])


STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #222; max-width: 76rem; margin: 2rem auto; padding: 0 1rem; }
h2 { margin-top: 3rem; border-bottom: 1px solid #ccc; } h3 { margin-top: 2.2rem; }
table { border-collapse: collapse; margin: 1rem 0; font-size: 0.85rem; font-variant-numeric: tabular-nums;
  display: block; overflow-x: auto; }
thead { border-top: 2px solid #222; border-bottom: 1px solid #222; } tbody { border-bottom: 2px solid #222; }
th, td { padding: 0.2rem 0.6rem; text-align: left; white-space: nowrap; }
tbody tr:hover { background: #f5f5f5; }
img { max-width: 100%; } code { background: #f3f3f3; padding: 0.1em 0.3em; border-radius: 3px; }
"""


def _html(text: str, files: dict[str, bytes]) -> str:
    """The Markdown page as HTML with the figures' SVG inside."""
    body = markdown(text, extensions=["tables"])
    for name in (name for name in files if name.endswith(".svg")):
        data = base64.b64encode(files[name]).decode()
        body = body.replace(f'src="{name[:-4]}.png"', f'src="data:image/svg+xml;base64,{data}"')
    head = '<meta charset="utf-8">\n<meta name="viewport" content="width=device-width, initial-scale=1">\n'
    head += f"<title>Residual Prompt Tuning: results</title>\n<style>{STYLE}</style>"
    return f'<!DOCTYPE html>\n<html lang="en">\n<head>\n{head}\n</head>\n<body>\n{body}\n</body>\n</html>\n'
