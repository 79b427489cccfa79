"""`python -m rpt.results [FOLDER]`: tables, figures and one page from the run records under FOLDER. Never trains."""

from __future__ import annotations

import sys
from pathlib import Path

from rpt.results.report import write


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "results")
    written, stale, problems = write(folder)
    for problem in problems:
        print(f"warning: {problem}", file=sys.stderr)
    for path in stale:
        print(f"removed {path}, which no record stands behind any more")
    print("\n".join(map(str, written)) if written else "no records yet")


if __name__ == "__main__":
    main()
