"""The run record: the single source of every number this project reports.

A record is the folder `<results>/runs/<task>/<backbone>/<prompt>/<id>/`:
    config.yaml         the whole configuration
    metrics.jsonl       one line per evaluation
    prompt.safetensors  the folded prompt of the best evaluation, with the head that an encoder needs
    weights.safetensors instead, for another method than prompt tuning: what it trained
    predictions.json    that prompt's answer to each reported row, and what it earned
    result.json         written last: status "finished" or "failed", scores, counts, times, versions
"""

from __future__ import annotations

import json
import platform
import subprocess
from contextlib import suppress
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from rpt.errors import RecordError
from rpt.files import write_atomically

SCHEMA = 1  # of result.json; raise it when a field changes its meaning
REQUIRED = {
    "finished": {
        "schema": int, "status": str, "id": str, "task": str, "backbone": str, "prompt": str, "protocol": str,
        "data": dict, "scores": dict, "majority": dict, "best": dict, "parameters": dict, "seconds": float,
        "trained_rows": int, "evaluations": int, "rows_per_second": dict, "peak_memory_bytes": int,
        "versions": dict, "device": str, "precision": str,
    },
    "failed": {"schema": int, "status": str, "id": str, "error": str},
}  # fmt: skip
PACKAGES = ("rpt", "torch", "transformers", "tokenizers", "datasets", "hydra-core", "numpy")


class RunFolder:
    """One run's folder.

    Args:
        folder: of this record; made on the first write.
    """

    def __init__(self, folder: Path):
        self.folder = Path(folder)
        self.config_path = self.folder / "config.yaml"
        self.metrics_path = self.folder / "metrics.jsonl"
        self.prompt_path = self.folder / "prompt.safetensors"
        self.weights_path = self.folder / "weights.safetensors"
        self.predictions_path = self.folder / "predictions.json"
        self.result_path = self.folder / "result.json"
        self.checkpoint_path = self.folder / "checkpoint.safetensors"  # only while the run is not finished
        self._lock = FileLock(self.folder / ".lock", timeout=0)

    def claim(self) -> bool:
        """Hold this record against other processes that pick the same run; False if one of them holds it.

        The operating system lets go of the lock when its owner dies, however it dies.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with suppress(Timeout):
            self._lock.acquire()
        return self._lock.is_locked

    def release(self) -> None:
        """Let go of it; nothing is left of a record of which nothing came."""
        (self.folder / ".lock").unlink(missing_ok=True)
        self._lock.release()
        with suppress(OSError):
            self.folder.rmdir()

    def finished(self) -> dict[str, Any] | None:
        """The result, if this run has ended well; None if it has not run, is under way or has failed.

        Raises:
            RecordError: there is a result.json that cannot be read.
        """
        if not self.result_path.exists():
            return None
        result = read_result(self.result_path)
        return result if result["status"] == "finished" else None

    def write_config(self, yaml: str) -> None:
        write_atomically(self.config_path, yaml.encode())

    def write_metrics(self, history: list[dict[str, Any]]) -> None:
        """All evaluations so far, one JSON line each (the whole file, so a resumed run never doubles a line)."""
        write_atomically(self.metrics_path, "".join(json.dumps(line) + "\n" for line in history).encode())

    def write_predictions(self, predictions: list[int | str | None], credits: list[float]) -> None:
        """Per reported example: the label's index (or the text) that was predicted, and its credit, 0 to 1."""
        columns = {"predictions": predictions, "credits": [round(credit, 4) for credit in credits]}
        write_atomically(self.predictions_path, json.dumps(columns, separators=(",", ":")).encode())

    def write_result(self, result: dict[str, Any]) -> None:
        result = {"schema": SCHEMA, "created": datetime.now(UTC).isoformat(timespec="seconds"), **result}
        write_atomically(self.result_path, (json.dumps(result, indent=2) + "\n").encode())

    def clear(self) -> None:
        """Forget everything of an earlier run (force=true, resume=never)."""
        trained = (self.prompt_path, self.weights_path, self.checkpoint_path)
        for path in (*trained, self.result_path, self.metrics_path, self.predictions_path, self.config_path):
            path.unlink(missing_ok=True)


def read_result(path: Path) -> dict[str, Any]:
    """A result.json, checked.

    Raises:
        RecordError: it is not JSON, of another schema, or lacks a field.
    """
    remedy = "delete its folder and run its command again, or restore it"
    try:
        result = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise RecordError(f"Record {path} cannot be read ({error}); {remedy}.") from error
    if not isinstance(result, dict) or result.get("schema") != SCHEMA:
        found = result.get("schema") if isinstance(result, dict) else None
        raise RecordError(f"Record {path} has schema {found}, this version reads {SCHEMA}; {remedy}.")
    if result.get("status") not in tuple(REQUIRED):
        raise RecordError(f"Record {path} has status {result.get('status')!r}; {remedy}.")
    for key, kind in REQUIRED[result["status"]].items():
        if not isinstance(result.get(key), kind):
            raise RecordError(
                f"Record {path}: field {key!r} should be {kind.__name__}, is {result.get(key)!r}; {remedy}."
            )
    return result


def environment() -> dict[str, Any]:
    """What the numbers were made with: library versions, python, the code's commit."""
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = "not installed"
    return {"versions": versions, "commit": _commit()}


def _commit() -> str | None:
    """The checkout's commit, with "+changes" where tracked files differ from it; None outside a checkout."""

    def git(*words: str) -> str:
        done = subprocess.run(["git", *words], cwd=Path(__file__).parent, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    try:
        return git("rev-parse", "HEAD") + ("+changes" if git("status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.CalledProcessError):
        return None
