"""Tables, figures and one page from run records.

    python -m rpt.results [FOLDER]

FOLDER is what `results=` was in training, `results` if it is left out. Never trains.
"""

from __future__ import annotations

import sys
from pathlib import Path

from rpt.cli import asked_for_help, one_line_errors
from rpt.errors import UsageError


def main() -> None:
    if asked_for_help(__doc__):
        return
    with one_line_errors():
        make_tables(sys.argv[1:])


def make_tables(words: list[str]) -> None:
    """Write every table and figure, and say what was written.

    Raises:
        UsageError: there is no such folder.
    """
    folder = Path(words[0].removeprefix("results=") if words else "results")
    if not folder.is_dir():
        raise UsageError(f"There is no folder {folder}; give the one that results= was in training.")
    from rpt.reports.report import write  # slow to import

    written, stale, problems = write(folder)
    for problem in problems:
        print(f"warning: {problem}", file=sys.stderr)
    for path in stale:
        print(f"removed {path}, which no record stands behind any more")
    print("\n".join(map(str, written)) if written else "no records yet")


if __name__ == "__main__":
    main()
