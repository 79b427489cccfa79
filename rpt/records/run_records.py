"""Every finished run below a folder. Run folders and published records alike."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from rpt.config import Config
from rpt.errors import RecordError
from rpt.records.published import read_published
from rpt.records.run_folder import RunFolder
from rpt.records.schema import RunRecord, identity_of


class RunRecords:
    """All finished records under `<results>/runs`; a run's folder counts before its published record.

    problems: one line for each record that is left out, and why.
    """

    def __init__(self, results: Path):
        results, records = Path(results), {}
        self.problems: list[str] = []
        for path in sorted(results.glob("runs/*/*.jsonl")):
            for record in read_published(path):
                if isinstance(record, RecordError):
                    self._leave_out(record, results)
                else:
                    records[record.folder] = record
        for path in sorted(results.glob("runs/*/*/*/*/result.json")):
            try:
                records[path.parent] = RunFolder(path.parent).read()
            except RecordError as error:
                self._leave_out(error, results)
        self._by_identity: dict[str, list[RunRecord]] = defaultdict(list)
        for _, record in sorted(records.items()):
            self._by_identity[record.identity].append(record)

    def __iter__(self) -> Iterator[RunRecord]:
        return (record for records in self._by_identity.values() for record in records)

    def find(self, config: Config) -> RunRecord | None:
        """The record of a run; of several (other weights, other rows, another precision) the latest."""
        records = self._by_identity.get(identity_of(config), [])
        return max(records, key=lambda record: record.result["created"], default=None)

    def _leave_out(self, error: RecordError, results: Path) -> None:
        """In one line, the same wherever the folder of results lies."""
        self.problems.append("left out: " + " ".join(str(error).replace(f"{results}/", "").split()))
