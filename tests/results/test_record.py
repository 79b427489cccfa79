"""Records on disk: whole or not there, checked when read."""

import os
import subprocess
import sys

import pytest

from rpt.results import record
from rpt.results.__main__ import overview
from rpt.results.record import Record, RecordError, read_result

FINISHED = {
    "status": "finished", "id": "x", "task": "cb", "backbone": "nano", "prompt": "vanilla", "protocol": "paper",
    "data": {"miniature": True, "report": 3}, "scores": {"score": 50.0}, "majority": {"score": 40.0}, "best": {},
    "parameters": {}, "seconds": 1.0, "trained_rows": 1, "evaluations": 1,
    "rows_per_second": {}, "peak_memory_bytes": 1, "versions": {}, "device": "CPU", "precision": "fp32",
}  # fmt: skip


def test_round_trip(tmp_path):
    written = Record(tmp_path / "r")
    assert written.finished() is None
    written.write_result(FINISHED)
    assert written.finished()["scores"] == {"score": 50.0}
    written.write_result({"status": "failed", "id": "x", "error": "E: no"})
    assert written.finished() is None


def test_a_crash_while_writing_leaves_the_old_file(tmp_path, monkeypatch):
    written = Record(tmp_path)
    written.write_metrics([{"step": 1}])

    def crash(*_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", crash)
    with pytest.raises(OSError, match="disk full"):
        written.write_metrics([{"step": 1}, {"step": 2}])
    assert written.metrics_path.read_text() == '{"step": 1}\n'
    assert os.listdir(tmp_path) == ["metrics.jsonl"]


@pytest.mark.parametrize("missing", sorted(record.REQUIRED["finished"]))
def test_a_missing_or_wrong_field_is_named(tmp_path, missing):
    written = Record(tmp_path)
    for value in (None, ["wrong"]):
        written.write_result(FINISHED | {missing: value})
        with pytest.raises(RecordError, match=missing):
            read_result(written.result_path)


def test_overview_keeps_miniature_apart_and_names_what_it_leaves_out(tmp_path):
    config = "trainer: {epochs: 20}\nprompt: {length: 10}\nlr: 0.3\ndata: {shots: null}\n"
    assert "no records yet" in overview(tmp_path)
    for seed, score in ((0, 50.0), (1, 60.0)):
        mini = Record(tmp_path / f"runs/cb/nano/vanilla/{seed}")
        mini.write_result(FINISHED | {"scores": {"score": score}})
        mini.write_config(config)
    real = Record(tmp_path / "runs/cb/t5_base/vanilla/b")
    real.write_result(FINISHED | {"backbone": "t5_base", "data": {"miniature": False}, "scores": {"score": 77.0}})
    real.write_config(config)
    (broken := tmp_path / "runs/cb/nano/vanilla/c/result.json").parent.mkdir(parents=True)
    broken.write_text("{")
    parts = overview(tmp_path).split("## ")
    (miniature_table,) = [part for part in parts if "MINIATURE" in part]
    (real_table,) = [part for part in parts if "t5_base" in part]
    assert "| vanilla | 55.0 (2) |" in miniature_table and "| vanilla | 77.0 (1) |" in real_table
    assert "left out" in parts[-1] and str(broken) in parts[-1]


def test_a_record_is_held_by_one_process_and_freed_by_its_death(tmp_path):
    """Another process takes the record and is killed while it holds it."""
    code = (
        "import sys, time; from pathlib import Path; from rpt.results.record import Record\n"
        "with Record(Path(sys.argv[1])).claimed() as ours:\n"
        "    print(ours, flush=True); time.sleep(60)"
    )
    record = Record(tmp_path / "r")
    other = subprocess.Popen([sys.executable, "-c", code, str(record.folder)], stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout.readline() == "True\n"
        with record.claimed() as ours:
            assert not ours
    finally:
        other.kill()
        other.wait()
    with record.claimed() as ours:
        assert ours
        record.write_metrics([])
    assert [path.name for path in record.folder.iterdir()] == ["metrics.jsonl"]
