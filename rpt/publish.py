"""Put finished runs into the published store.

    python -m rpt.publish [runs=FOLDER] [to=results]

runs  what results= was in training; `results` if it is left out
to    the folder of results whose store takes them, at runs/TASK/BACKBONE.jsonl; what is published there stays, and a
      run that is there already is replaced

Files of searches are copied to searches/. Run folders stay as they are. Trained prompts and weights are never
published.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from rpt.cli import run_command
from rpt.errors import UsageError
from rpt.files import check_folder
from rpt.records.published import publish
from rpt.records.run_folder import FailedRun, RunFolder
from rpt.records.search_file import copy_searches


@dataclass
class PublishArguments:
    runs: str = "results"
    to: str = "results"


def publish_folders(arguments: PublishArguments) -> None:
    """Publish every finished run below a folder; a failed one is named and left out.

    Raises:
        UsageError: there is no run.
        RecordError: a record is damaged; nothing is published then.
    """
    source, target = Path(os.path.expanduser(arguments.runs)), Path(os.path.expanduser(arguments.to))
    records = []
    for path in sorted(source.glob("runs/*/*/*/*/result.json")):
        try:
            records.append(RunFolder(path.parent).read_files())
        except FailedRun as error:
            print(f"left out: {' '.join(str(error).split())}")
    if not records:
        raise UsageError(
            f"There is no finished run below runs={source}; give the folder that results= was in training."
        )
    check_folder(target, "to")
    files = [*publish(records, target), *copy_searches(source, target)]
    print(f"published {len(records)} runs:", *files, sep="\n")


def main() -> None:
    """The command line."""
    run_command(__doc__, PublishArguments, publish_folders)


if __name__ == "__main__":
    main()
