"""Records on disk: whole or not there, checked when read."""

import os
from pathlib import Path

import pytest

from rpt.data import miniature
from rpt.errors import RecordError
from rpt.records.run_folder import RunFolder, read_result
from rpt.records.schema import SCHEMA, Result, RunRecord, check_record
from rpt.tasks import TASKS, get_task

FINISHED = {
    "status": "finished", "id": "x", "task": "cb", "backbone": "nano", "prompt": "vanilla", "protocol": "paper",
    "created": "2026-11-23T12:00:00+00:00", "backbone_fingerprint": "w",
    "data": {"name": "mini", "miniature": True, "fingerprint": "r", "train": 3, "select": 3, "report": 3},
    "scores": {"score": 50.0}, "majority": {"score": 40.0}, "best": {},
    "parameters": {"trained": 1, "kept": 1}, "seconds": 1.0, "trained_rows": 1, "evaluations": 1,
    "rows_per_second": {}, "peak_memory_bytes": 1, "versions": {}, "device": "CPU", "precision": "fp32",
}  # fmt: skip


def test_round_trip(tmp_path):
    written = RunFolder(tmp_path / "r")
    assert written.finished() is None
    written.write_result(FINISHED)
    assert written.finished()["scores"] == {"score": 50.0}
    written.write_result({"status": "failed", "id": "x", "error": "E: no"})
    assert written.finished() is None


def test_a_crash_while_writing_leaves_the_old_file(tmp_path, monkeypatch):
    written = RunFolder(tmp_path)
    written.write_metrics([{"step": 1}])

    def crash(*_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", crash)
    with pytest.raises(OSError, match="disk full"):
        written.write_metrics([{"step": 1}, {"step": 2}])
    assert written.metrics_path.read_text() == '{"step": 1}\n'
    assert os.listdir(tmp_path) == ["metrics.jsonl"]


@pytest.mark.parametrize("missing", sorted(Result.__required_keys__))
def test_a_missing_or_wrong_field_is_named(tmp_path, missing):
    written = RunFolder(tmp_path)
    for value in (None, ["wrong"]):
        written.write_result(FINISHED | {missing: value})
        with pytest.raises(RecordError, match=missing):
            read_result(written.result_path)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("family", ["t5", "bert"])
@pytest.mark.parametrize("protocol", ["paper", "superglue"])
def test_a_task_reports_the_metrics_that_a_record_of_it_must_have(task, family, protocol):
    """Else its records would be left out of the tables."""
    given = get_task(task, family)
    examples = [example for row in miniature.rows(task, "val", 0)[:20] for example in given.parse(row)]
    examples = [example for example in examples if given.evaluated(example, protocol)]
    scores = given.score(examples, [None] * len(examples), protocol)
    result = {"schema": SCHEMA, **FINISHED, "task": task, "protocol": protocol, "scores": scores, "majority": scores}
    check_record(
        RunRecord(
            Path(), {"backbone": {"family": family}, "prompt": {"reparameterization": "identity"}}, result, history=[]
        )
    )
