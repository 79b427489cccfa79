"""A run's folder: the single source of every number this project reports.

`<results>/runs/<task>/<backbone>/<prompt>/<id>/` holds
    config.yaml         the whole configuration
    metrics.jsonl       one line per evaluation
    console.log         what was said of the run, by the time: `tail -f` it; not part of the record
    prompt.safetensors  the folded prompt of the best evaluation, with the head that an encoder needs
    weights.safetensors instead, for another method than prompt tuning: what it trained
    predictions.json    that prompt's answer to each reported row, and what it earned
    result.json         written last: status "finished" or "failed", scores, counts, times, versions, and the digests
                        of itself and of the files above, which show later whether a file was changed
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from filelock import FileLock, Timeout

from rpt.config.schema import Values
from rpt.config.yaml_files import load_yaml
from rpt.errors import RecordError
from rpt.files import TEMPORARY, add_lines, write_atomically
from rpt.records.checks import adapter, check_digest, check_record, digest_of, one_line_refusal
from rpt.records.published import find_published
from rpt.records.schema import SCHEMA, Failure, Result, ResultFile, RunRecord


class FailedRun(RecordError):
    """The record of a run that failed in training has no scores."""


class RunFolder:
    """One run's folder; the first write makes it."""

    def __init__(self, folder: Path):
        self.folder = Path(folder)
        self.config_path = self.folder / "config.yaml"
        self.metrics_path = self.folder / "metrics.jsonl"
        self.console_path = self.folder / "console.log"
        self.prompt_path = self.folder / "prompt.safetensors"
        self.weights_path = self.folder / "weights.safetensors"
        self.predictions_path = self.folder / "predictions.json"
        self.result_path = self.folder / "result.json"
        self.checkpoint_path = self.folder / "checkpoint.safetensors"  # only while the run is not finished
        self._digested = (
            self.config_path, self.metrics_path, self.predictions_path, self.prompt_path, self.weights_path
        )  # fmt: skip

    @cached_property
    def _lock(self) -> FileLock:
        return FileLock(self.folder / ".lock", timeout=0)

    def claim(self) -> bool:
        """Lock this record, for other processes may pick the same run; False if one of them holds it.

        The operating system frees the lock when its owner dies. Files that a killed process left behind are removed.

        Raises:
            OSError: the folder or its lock cannot be made.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with suppress(Timeout):
            self._lock.acquire()
            for path in self.folder.glob(TEMPORARY):
                path.unlink()
            with suppress(RecordError, FileNotFoundError):  # whoever needs the result reports it
                if read_result(self.result_path)["status"] == "finished":
                    self.checkpoint_path.unlink()
        return self._lock.is_locked

    def release(self) -> None:
        """Unlock it, and remove the folder if it is empty."""
        with suppress(OSError):  # there is none on a disk that cannot be written
            (self.folder / ".lock").unlink(missing_ok=True)
        self._lock.release()
        with suppress(OSError):
            self.folder.rmdir()

    def finished(self) -> Result | None:
        """The result of the run if it is finished, here or in the published store, else None.

        Raises:
            RecordError: its record cannot be read.
        """
        if self.result_path.exists():
            result = read_result(self.result_path)
            if result["status"] == "finished":
                return result
        published = find_published(self.folder)
        return published.result if published else None

    @property
    def place(self) -> str:
        """Where the finished record is: this folder, or its line in the published store."""
        published = self._published()
        return published.line if published else str(self.folder)

    def _published(self) -> RunRecord | None:
        """The published record, unless a finished run lies here. A failed one does not hide it."""
        is_here = self.result_path.exists() and read_result(self.result_path)["status"] == "finished"
        return None if is_here else find_published(self.folder)

    def config(self) -> Values | None:
        """The run's configuration, from config.yaml or from the published store; None if neither has it.

        Raises:
            RecordError: it cannot be read.
        """
        if self.config_path.exists():
            with one_line_refusal(self.config_path):
                return load_yaml(self.config_path.read_text("utf-8"))
        published = find_published(self.folder)
        return published.config if published else None

    def read(self) -> RunRecord:
        """The whole record of a finished run, here or in the published store, checked, but for the tensors that it
        trained.

        Raises:
            FailedRun: the run failed.
            RecordError: a file of it is missing or damaged.
        """
        return self._published() or self.read_files()

    def read_files(self) -> RunRecord:
        """The same from this folder alone.

        Raises:
            FailedRun, RecordError: as above.
        """
        result = read_result(self.result_path)
        if result["status"] == "failed":
            raise FailedRun(f"failed run {self.folder}: {result['error']}")
        self.check_files(result, self.config_path, self.metrics_path, self.predictions_path)
        with one_line_refusal(self.folder):
            history = [json.loads(line) for line in self.metrics_path.read_text("utf-8").splitlines()]
            answers = json.loads(self.predictions_path.read_text("utf-8")) if self.predictions_path.exists() else {}
            predictions, credits = answers.get("predictions"), answers.get("credits")
            config = cast(Values, self.config())  # None, where there is no file, is refused like any other damage
            record = RunRecord(self.folder, config, result, history, predictions, credits)
            check_record(record)
        return record

    def check_files(self, result: Result, *paths: Path) -> None:
        """Refuse files that were changed after the run. A published result has no digests to compare with.

        Raises:
            RecordError: naming the file.
        """
        digests = cast(ResultFile, result).get("digests")
        for path in paths if digests is not None else ():
            with one_line_refusal(path):
                check_digest(path, _digest(path) if path.exists() else None, digests.get(path.name))

    def write_config(self, yaml: str) -> None:
        write_atomically(self.config_path, yaml.encode())

    def write_metrics(self, history: Sequence[Mapping[str, Any]]) -> None:
        """All evaluations so far, one JSON line each. Writing the whole file, a resumed run never doubles a line."""
        write_atomically(self.metrics_path, "".join(json.dumps(line) + "\n" for line in history).encode())

    def write_console(self, text: str) -> None:
        """Add to what was said of the run, also where a resumed run goes on."""
        add_lines(self.console_path, f"{datetime.now():%Y-%m-%d %H:%M:%S} {text}")

    def write_predictions(self, predictions: Sequence[int | str | None], credits: Sequence[float]) -> None:
        """For each reported example the predicted label's index, or text, and its credit, 0 to 1."""
        columns = {"predictions": predictions, "credits": [round(credit, 4) for credit in credits]}
        write_atomically(self.predictions_path, json.dumps(columns, separators=(",", ":")).encode())

    def write_result(self, result: Values) -> None:
        """Write result.json with the date and the digests, and so finish the record."""
        result = {"schema": SCHEMA, "created": datetime.now(UTC).isoformat(timespec="seconds"), **result}
        if result["status"] == "finished":
            result["digests"] = {path.name: _digest(path) for path in self._digested if path.exists()}
        result["digest"] = digest_of(result)
        write_atomically(self.result_path, (json.dumps(result, indent=2) + "\n").encode())

    def clear(self) -> None:
        """Delete the files of an earlier run (force=true, resume=never)."""
        for path in (self.result_path, self.checkpoint_path, self.console_path, *self._digested):
            path.unlink(missing_ok=True)


def read_result(path: Path) -> ResultFile | Failure:
    """A result.json, checked.

    Raises:
        RecordError: it is not JSON, has another schema, was changed after its run, or lacks a field.
    """
    with one_line_refusal(path):
        result = json.loads(Path(path).read_text("utf-8"))
        failed = isinstance(result, dict) and result.get("status") == "failed"
        adapter(Failure if failed else ResultFile).validate_python(result)
        check_digest(path, result.get("digest"), digest_of(result))
    return result


def check_beside(path: Path) -> None:
    """Refuse a file of a finished run that was changed after the run. A file that lies elsewhere passes.

    Raises:
        RecordError: naming it.
    """
    record = RunFolder(path.parent)
    result = read_result(record.result_path) if record.result_path.exists() else None
    if result is not None and result["status"] == "finished":
        record.check_files(result, path)


def _digest(path: Path) -> str:
    """SHA-256, as sha256sum prints it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
