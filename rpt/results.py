"""Tables, figures and one page from records.

    python -m rpt.results [FOLDER] [csv=FILE] [html=true]

FOLDER is any folder of records, what `results=` was in training. Its runs are grouped by what differs among them: the
table is printed and written to FOLDER/summary.md and summary.tex, and to csv=FILE if that is given. Figures show scores
along each setting of several numbers, or as bars, and by epoch. Runs of the paper's tables and figures go there too,
and the trials of a search (hydra/sweeper=optuna) to FOLDER/searches.md. Without FOLDER it is `results`, and only the
paper's tables, figures and page are made. html=true makes summary.html and REPORT.html, which need no other file, and
the figures as SVG beside PNG. Never trains. In a notebook, rpt.load_runs(FOLDER) is the data frame.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from rpt.cli import run_command
from rpt.errors import UsageError
from rpt.files import check_folder, check_writable

REPOSITORY = Path("results")  # the folder of this repository, from its root
CHECKOUT = Path(__file__).parents[1] / REPOSITORY  # from anywhere


@dataclass
class ResultsArguments:
    results: str = "results"
    html: bool = False
    csv: str | None = None


def make_tables(arguments: ResultsArguments) -> None:
    """Write every table and figure, and say what was written.

    Raises:
        UsageError: there is no such folder.
    """
    folder = Path(os.path.expanduser(arguments.results))
    csv = Path(os.path.expanduser(arguments.csv)) if arguments.csv else None
    if not os.path.isdir(folder):
        raise UsageError(f"There is no folder {folder}; give the one that results= was in training.")
    if csv:
        check_writable(csv, "csv")
    _show_searches(folder)  # also where no trial finished
    is_repository, fits, said = folder.resolve() in (REPOSITORY.resolve(), CHECKOUT.resolve()), True, list[str]()
    if not is_repository:
        fits, said = _summarise(folder, csv, arguments.html)
    elif csv:
        raise UsageError("csv= is for another folder than the repository's: python -m rpt.results FOLDER csv=FILE.")
    if not fits:
        return
    check_folder(folder, "results")
    from rpt.reports.report import write  # slow to import

    written, stale, problems = write(folder, arguments.html)
    for problem in (problem for problem in problems if problem not in said):
        print(f"warning: {problem}", file=sys.stderr)
    for path in stale:
        print(f"removed {path}: no record gives it any more")
    if written or is_repository:
        print("\n".join(map(str, written)) if written else "no records yet")


def _show_searches(folder: Path) -> None:
    """Print the trials of searches, where there were some."""
    if (folder / "searches").is_dir():
        from rpt.reports.searches import write_searches  # slow to import

        print(write_searches(folder) or "", flush=True)


def _summarise(folder: Path, csv: Path | None, html: bool) -> tuple[bool, list[str]]:
    """Print and write what the folder's runs say; whether one of them stands in a table of the paper, and problems.

    Raises:
        UsageError: there is no finished run.
    """
    from rpt.config.grids import is_in_a_grid
    from rpt.reports.summary import summarise  # slow to import
    from rpt.reports.summary_page import summary_table, write_summary
    from rpt.reports.table import to_markdown

    summary = summarise(folder)
    print(to_markdown(summary_table(summary)))
    for problem in summary.problems:
        print(f"warning: {problem}", file=sys.stderr)
    print("\n".join(map(str, write_summary(summary, folder, csv, html))), flush=True)
    return any(map(is_in_a_grid, summary.settings)), summary.problems


def main() -> None:
    """The command line."""
    run_command(__doc__, ResultsArguments, make_tables, first="results")


if __name__ == "__main__":
    main()
