"""Every finished run below a folder: run folders and published records alike."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from rpt.config import Config
from rpt.errors import RecordError, UsageError
from rpt.records.published import read_published
from rpt.records.run_folder import RunFolder
from rpt.records.schema import RunRecord, identity_of


class RunRecords:
    """All finished runs below a folder. Each run counts once: its folder rather than its published record, and of
    several records that differ the latest.

    problems: one line for each record that is left out, and why; copies share a line.
    """

    def __init__(self, folder: Path):
        self._below = Path(folder)
        self.problems: list[str] = []
        places: dict[Path, RunRecord] = {}
        for path in self._find("*.jsonl", level=1):
            for record in read_published(path):
                if isinstance(record, RecordError):
                    self._leave_out(str(record))
                else:
                    places[record.folder] = record
        for path in self._find("result.json", level=4):
            try:
                places[path.parent] = RunFolder(path.parent).read_files()
            except RecordError as error:
                self._leave_out(str(error))
        self._by_identity: dict[str, list[RunRecord]] = defaultdict(list)
        for record in self._choose([record for _, record in sorted(places.items())]):
            self._by_identity[record.identity].append(record)

    def __iter__(self) -> Iterator[RunRecord]:
        return (record for records in self._by_identity.values() for record in records)

    def find(self, config: Config) -> RunRecord | None:
        """The record of a run; of several (other weights, other rows, another precision) the latest."""
        records = self._by_identity.get(identity_of(config), [])
        return max(records, key=lambda record: record.result["created"], default=None)

    def require(self) -> RunRecords:
        """These records, if there is a finished run.

        Raises:
            UsageError: there is none; the message says what lies there instead.
        """
        if self._by_identity:
            return self
        failed = sum("failed run" in problem for problem in self.problems)
        counts = {
            "failed": failed, "left out": len(self.problems) - failed,
            "not finished (the same command goes on)": len(self._find("checkpoint.safetensors", level=4)),
        }  # fmt: skip
        listed = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
        listed = listed or "no run at all; give the folder that results= was in training"
        reason = f" The first one {self.problems[0]}" if self.problems else ""
        raise UsageError(f"There is no finished run below {self._below}: {listed}.{reason}")

    def _find(self, name: str, level: int) -> list[Path]:
        """Find the files that lie so many levels below a folder `runs`, which may be a link to one."""
        paths = {*self._below.rglob(name), *self._below.glob(f"**/runs/{'*/' * level}{name}")}
        return sorted(path for path in paths if path.absolute().parts[-level - 2 : -level - 1] == ("runs",))

    def _choose(self, records: list[RunRecord]) -> list[RunRecord]:
        """Choose one record for each run."""
        chosen: dict[tuple[str, ...], RunRecord] = {}
        copies: list[RunRecord] = []
        for record in records:
            other = chosen.setdefault(record.place, record)
            if record is not other and record.contents == other.contents:
                copies.append(record)
            elif record is not other:
                older, latest = sorted((record, other), key=lambda each: each.result["created"])
                chosen[record.place] = latest
                self._leave_out(f"{older.folder} is another record of the run {latest.folder}; the latest counts")
        if copies:
            self._leave_out(f"{len(copies)} copies of runs that are there already, as {copies[0].folder}")
        return list(chosen.values())

    def _leave_out(self, reason: str) -> None:
        """Note why a record does not count, in one line that is the same wherever the folder lies."""
        shortened = re.sub(rf"(?<![\w./~-]){re.escape(f'{self._below}/')}", "", reason)
        self.problems.append("left out: " + " ".join(shortened.split()))
