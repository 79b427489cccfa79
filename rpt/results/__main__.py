"""`python -m rpt.results [FOLDER]`: what the run records say, one line a record, real and miniature rows apart."""

from __future__ import annotations

import sys
from pathlib import Path

from rpt.results.record import RecordError, read_result


def overview(folder: Path) -> str:
    """The finished records under `folder`/runs as two Markdown tables; unreadable ones are named at the end."""
    finished, problems = [], []
    for path in sorted((folder / "runs").glob("*/*/*/*/result.json")):
        try:
            result = read_result(path)
        except RecordError as error:
            problems.append(f"left out: {error}")
            continue
        if result["status"] == "finished":
            finished.append(result)
        else:
            problems.append(f"failed: {path.parent}: {result['error']}")
    parts = []
    for title, miniature in (("SuperGLUE", False), ("Miniature (never comparable with SuperGLUE)", True)):
        chosen = [result for result in finished if result["data"]["miniature"] == miniature]
        if chosen:
            parts.append("\n".join([f"## {title}", *_table(chosen)]))
    return "\n\n".join([*(parts or ["no records yet"]), *problems])


def _table(results: list[dict]) -> list[str]:
    lines = ["| task | backbone | prompt | protocol | id | score | majority | rows |", "|--|--|--|--|--|--|--|--|"]
    for r in results:
        cells = [r["task"], r["backbone"], r["prompt"], r["protocol"], r["id"]]
        cells += [f"{r['scores']['score']:.2f}", f"{r['majority']['score']:.2f}", str(r["data"]["report"])]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


if __name__ == "__main__":
    print(overview(Path(sys.argv[1] if len(sys.argv) > 1 else "results")))
