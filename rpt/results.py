"""Tables, figures and one page from run records.

    python -m rpt.results [FOLDER] [html=true]

FOLDER is what `results=` was in training, `results` if it is left out. html=true makes REPORT.html, which needs no
other file, and the figures as SVG beside PNG. Never trains.
"""

from __future__ import annotations

import sys
from pathlib import Path

from rpt.cli import given, truth
from rpt.errors import UsageError
from rpt.reports.report import write


def main() -> None:
    """The command line."""
    words = sys.argv[1:]
    if {"-h", "--help"} & set(words):
        print(__doc__.strip())
        return
    try:
        chosen = given([word if "=" in word else f"results={word}" for word in words], ["results", "html"])
        html = truth("html", chosen.get("html", "false"))
    except UsageError as error:
        sys.exit(f"rpt: {error}")
    folder = Path(chosen.get("results", "results"))
    if not folder.is_dir():
        sys.exit(f"rpt: There is no folder {folder}; give the one that results= was in training.")
    written, stale, problems = write(folder, html)
    for problem in problems:
        print(f"warning: {problem}", file=sys.stderr)
    for path in stale:
        print(f"removed {path}, which no record stands behind any more")
    print("\n".join(map(str, written)) if written else "no records yet")


if __name__ == "__main__":
    main()
