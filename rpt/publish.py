"""Put the records of finished runs into the store that a repository shares (results/README.md).

    python -m rpt.publish [runs=FOLDER] [to=results]

runs  what results= was in training; `results` if it is left out
to    the folder of results whose store takes them, at runs/TASK/BACKBONE.jsonl; what is published there stays, and a
      run that is there already is replaced

Run folders stay as they are. Trained prompts and weights are never published.
"""

from __future__ import annotations

import os
from pathlib import Path

from rpt.cli import command_line
from rpt.errors import UsageError
from rpt.files import check_folder
from rpt.records.published import publish
from rpt.records.run_folder import FailedRun, RunFolder

KEYS = {"runs": "results", "to": "results"}


def publish_folders(given: dict[str, str]) -> None:
    """Publish every finished run below a folder; a failed one is named and left out.

    Raises:
        UsageError: there is no run.
        RecordError: a record is damaged; nothing is published then.
    """
    source, records = Path(os.path.expanduser(given["runs"])), []
    for path in sorted(source.glob("runs/*/*/*/*/result.json")):
        try:
            records.append(RunFolder(path.parent).read())
        except FailedRun as error:
            print(f"left out: {' '.join(str(error).split())}")
    if not records:
        raise UsageError(
            f"There is no finished run below runs={source}; give the folder that results= was in training."
        )
    check_folder(Path(os.path.expanduser(given["to"])), "to")
    files = publish(records, Path(os.path.expanduser(given["to"])))
    print(f"published {len(records)} runs:", *files, sep="\n")


def main() -> None:
    """The command line."""
    command_line(__doc__, KEYS, publish_folders)


if __name__ == "__main__":
    main()
