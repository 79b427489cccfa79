"""Tables, figures and one page from run records.

    python -m rpt.results [FOLDER]

FOLDER is what `results=` was in training, `results` if it is left out. Never trains.
"""

from __future__ import annotations

import sys
from pathlib import Path

from rpt.reports.report import write


def main() -> None:
    words = sys.argv[1:]
    if {"-h", "--help"} & set(words):
        print(__doc__.strip())
        return
    folder = Path(words[0].removeprefix("results=") if words else "results")
    if not folder.is_dir():
        sys.exit(f"rpt: There is no folder {folder}; give the one that results= was in training.")
    written, stale, problems = write(folder)
    for problem in problems:
        print(f"warning: {problem}", file=sys.stderr)
    for path in stale:
        print(f"removed {path}, which no record stands behind any more")
    print("\n".join(map(str, written)) if written else "no records yet")


if __name__ == "__main__":
    main()
