"""Tables, figures and one page from run records.

    python -m rpt.results [FOLDER] [html=true]

FOLDER is what `results=` was in training, `results` if it is left out. html=true makes REPORT.html, which needs no
other file, and the figures as SVG beside PNG. Never trains.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from rpt.cli import asked_for_help, given, one_line_errors, truth
from rpt.errors import UsageError
from rpt.files import check_folder


def main() -> None:
    """The command line."""
    if not asked_for_help(__doc__):
        with one_line_errors():
            words = [word if "=" in word else f"results={word}" for word in sys.argv[1:]]
            make_tables({"results": "results", "html": "false"} | given(words, ["results", "html"]))


def make_tables(words: dict[str, str]) -> None:
    """Write every table and figure, and say what was written.

    Raises:
        UsageError: there is no such folder.
    """
    folder, html = Path(words["results"]), truth("html", words["html"])
    if not os.path.isdir(folder):
        raise UsageError(f"There is no folder {folder}; give the one that results= was in training.")
    check_folder(folder, "results")
    from rpt.reports.report import write  # slow to import

    written, stale, problems = write(folder, html)
    for problem in problems:
        print(f"warning: {problem}", file=sys.stderr)
    for path in stale:
        print(f"removed {path}, which no record stands behind any more")
    print("\n".join(map(str, written)) if written else "no records yet")


if __name__ == "__main__":
    main()
