"""Records on disk: whole or not there, checked when read."""

import json
import os
import re
from pathlib import Path

import pytest
import yaml

from rpt.config import Config, as_dict
from rpt.data import miniature
from rpt.errors import RecordError, UsageError
from rpt.records.checks import check_record
from rpt.records.run_folder import RunFolder, check_beside, read_result
from rpt.records.run_records import RunRecords
from rpt.records.schema import SCHEMA, Result, RunRecord
from rpt.tasks import TASKS, get_task

FINISHED = {
    "status": "finished", "id": "x", "task": "cb", "backbone": "nano", "prompt": "vanilla", "protocol": "paper",
    "created": "2026-11-23T12:00:00+00:00", "backbone_fingerprint": "w",
    "data": {"name": "mini", "miniature": True, "fingerprint": "r", "train": 3, "select": 3, "report": 3},
    "scores": {"score": 50.0}, "majority": {"score": 40.0}, "best": {},
    "parameters": {"trained": 1, "kept": 1}, "seconds": 1.0, "trained_rows": 1, "evaluations": 1,
    "rows_per_second": {}, "peak_memory_bytes": 1, "versions": {}, "device": "CPU", "precision": "fp32",
}  # fmt: skip
EVALUATION = {"step": 1, "epoch": 1.0, "loss": 0.5, "score": 50.0}


def configuration(family="t5"):
    config = as_dict(Config())
    for group, values in config.items():
        if isinstance(values, dict) and "name" in values:
            values["name"] = group
    config["prompt"]["reparameterization"], config["backbone"]["family"] = "identity", family
    return config


def whole(folder, **changes):
    """A finished record with files beside it."""
    written = RunFolder(folder)
    written.write_config(yaml.safe_dump(configuration()))
    written.write_metrics([EVALUATION])
    written.write_predictions([0, 1, 2], [1.0, 0.0, 1.0])
    for path in (written.prompt_path, written.weights_path):
        path.write_bytes(b"tensors")
    scores = {"score": 50.0, "accuracy": 50.0, "macro_f1": 50.0}
    written.write_result(FINISHED | {"scores": scores, "majority": scores} | changes)
    return written


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
    with pytest.raises(UsageError, match=r"metrics.jsonl cannot be written \(disk full\)"):
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
    known = get_task(task, family, protocol)
    examples = [example for row in miniature.rows(task, "val", 0)[:20] for example in known.parse(row)]
    examples = [example for example in examples if known.evaluated(example)]
    scores = known.score(examples, [None] * len(examples))
    result = {"schema": SCHEMA, **FINISHED, "task": task, "protocol": protocol, "scores": scores, "majority": scores}
    check_record(
        RunRecord(Path(), configuration(family), result | {"data": FINISHED["data"] | {"report": 3}}, [EVALUATION])
    )


@pytest.mark.parametrize("name", ["config.yaml", "metrics.jsonl", "predictions.json"])
@pytest.mark.parametrize("damage", ["changed", "gone"])
def test_a_file_that_is_not_as_the_run_left_it_is_named(tmp_path, name, damage):
    written = whole(tmp_path)
    assert written.read().credits == [1.0, 0.0, 1.0]
    content = (tmp_path / name).read_text()
    (tmp_path / name).unlink()
    if damage == "changed":
        (tmp_path / name).write_text(re.sub(r"\d", lambda digit: str((int(digit[0]) + 1) % 10), content, count=1))
    with pytest.raises(RecordError, match=rf"{name} is not as its run left it .*run its command again"):
        written.read()


@pytest.mark.parametrize("status", ["finished", "failed"])
def test_a_result_that_is_not_as_the_run_left_it_is_named(tmp_path, status):
    path = whole(tmp_path, status=status, error="none").result_path
    result = json.loads(path.read_text())
    path.write_text(json.dumps(dict(reversed(result.items()))))
    assert read_result(path) == result
    for field in ("created", "scores"):
        value = {"score": 51.0} if field == "scores" else "2026-11-24T12:00:00+00:00"
        path.write_text(json.dumps(result | {field: value}))
        with pytest.raises(RecordError, match=r"result.json is not as its run left it .*run its command again"):
            read_result(path)


def test_what_was_trained_is_compared_by_those_who_use_it(tmp_path):
    written = whole(tmp_path / "run")
    for path in (written.prompt_path, written.weights_path):
        check_beside(path)
        path.write_bytes(b"tensorz")
        with pytest.raises(RecordError, match=f"{path.name} is not as its run left it"):
            check_beside(path)
    assert written.read()
    (tmp_path / "prompt.safetensors").write_bytes(b"from elsewhere")
    check_beside(tmp_path / "prompt.safetensors")


@pytest.mark.parametrize("gone", ["digest", "digests"])
def test_a_record_without_digests_is_named_and_left_out(tmp_path, gone):
    written = whole(tmp_path / "runs" / "cb" / "nano" / "vanilla" / "x")
    result = json.loads(written.result_path.read_text())
    del result[gone]
    written.result_path.write_text(json.dumps(result))
    (problem,) = (records := RunRecords(tmp_path)).problems
    assert not list(records) and f"field {gone} is missing; delete its folder and run its command again" in problem


@pytest.mark.parametrize(
    ("changes", "lines", "answers", "message"),
    [
        ({}, [], None, "metrics.jsonl should have a line for each evaluation, is empty"),
        ({}, [EVALUATION | {"step": -1}], None, "metrics.jsonl line 1, step should be 0 or more, is -1"),
        ({}, [EVALUATION, EVALUATION | {"score": -0.5}], None, "line 2, score should be from 0 to 100, is -0.5"),
        ({"scores": {"score": -3.0, "accuracy": 1.0, "macro_f1": 1.0}}, None, None, "scores.score should be from 0"),
        ({"majority": {"score": 101.0}}, None, None, "majority.score should be from 0 to 100, is 101.0"),
        ({"trained_rows": -8}, None, None, "trained_rows should be 0 or more, is -8"),
        ({"seconds": -1.0}, None, None, "seconds should be 0 or more"),
        ({"data": FINISHED["data"] | {"train": -1}}, None, None, "data.train should be 0 or more"),
        ({}, None, ([], []), "predictions should be 3 long, one an example, is 0 long"),
        ({}, None, ([0, 1, 2], []), "credits should be 3 long, one an example, is 0 long"),
        ({}, None, ([0, 1, 2], [0.0, 1.5, 1.0]), "credits[1] should be from 0 to 1, is 1.5"),
        ({"task": "../../../etc"}, None, None, "task should be a part of a path, is '../../../etc'"),
        ({"backbone": ""}, None, None, "backbone should be a part of a path"),
        ({"id": ".."}, None, None, "id should be a part of a path"),
    ],
)
def test_what_no_run_can_have_is_named_and_left_out(tmp_path, changes, lines, answers, message):
    folder = tmp_path / "runs" / "cb" / "nano" / "vanilla" / "x"
    written = whole(folder)
    if lines is not None:
        written.write_metrics(lines)
    if answers is not None:
        written.write_predictions(*answers)
    written.write_result(json.loads(written.result_path.read_text()) | changes)
    records = RunRecords(tmp_path)
    (problem,) = records.problems
    assert not list(records) and message in problem


@pytest.mark.parametrize("text", ["[]", "null", "backbone: nano", "backbone: {family: t5}", "prompt: [1]", "lr: high"])
def test_a_configuration_of_the_wrong_shape_is_named(tmp_path, text):
    written = whole(tmp_path)
    changed = yaml.safe_load(text)
    written.write_config(yaml.safe_dump({**configuration(), **changed} if isinstance(changed, dict) else changed))
    written.write_result(json.loads(written.result_path.read_text()))
    with pytest.raises(RecordError, match=r"field (backbone|prompt|lr|config)\S* (should be|is missing)"):
        written.read()


def test_what_a_kill_left_is_swept_at_the_next_claim(tmp_path):
    written = whole(tmp_path)
    files = set(os.listdir(tmp_path))
    written.checkpoint_path.write_bytes(b"of a run that was killed behind its result")
    (tmp_path / f".{'0' * 32}.tmp").write_bytes(b"half a file")
    assert written.claim()
    assert set(os.listdir(tmp_path)) == files | {".lock"}
    written.release()
    written.result_path.unlink()
    written.checkpoint_path.write_bytes(b"of a run that goes on")
    assert written.claim() and written.checkpoint_path.exists()
