"""Publishing: nothing is lost, one line a run, and what is published counts as trained."""

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from rpt import publish
from rpt.errors import RecordError, UsageError
from rpt.inference.saved_run import open_saved_run
from rpt.records.checks import digest_of
from rpt.records.run_folder import RunFolder
from rpt.records.run_records import RunRecords
from rpt.records.search_file import read_searches, write_search
from rpt.train import train
from rpt.training.run.prepare import PreparedRun
from tests.reports.conftest import grid, reseal, write_record


def run(task="cb", **where):
    where = {"backbone": "nano", "prompt": "residual", "seed": 0} | where
    return next(
        config
        for config in grid("table1").jobs.values()
        if (config.task.name, config.backbone.name, config.prompt.name, config.seed) == (task, *where.values())
    )


def published(tmp_path, to="to"):
    publish.publish_folders(publish.PublishArguments(str(tmp_path / "runs_of"), str(tmp_path / to)))
    return tmp_path / to


def without_places(config):
    copy = {key: dict(value) if isinstance(value, dict) else value for key, value in config.items()}
    for group, key in (("data", "dir"), ("data", "cache"), ("backbone", "path"), ("tracking", "dir")):
        del copy[group][key]
    del copy["results"]
    return copy


def test_nothing_is_lost(tmp_path):
    for config in (run(), run(prompt="vanilla", seed=1), run(task="wsc")):
        folder = write_record(tmp_path / "runs_of", config)
    of_four = {"name": "mini", "miniature": True, "fingerprint": "f", "train": 1, "select": 4, "report": 4}
    RunFolder(folder).write_predictions(["Hilda", "", None, "é"], [1.0, 0.5, 0.0, 0.3333])
    reseal(folder, data=of_four)
    (other,) = (tmp_path / "runs_of/runs/cb/nano/vanilla").iterdir()
    RunFolder(other).write_predictions([0, 2, None, 1], [1.0, 0.0, 0.0, 1.0])
    reseal(other, data=of_four)
    (third,) = (tmp_path / "runs_of/runs/cb/nano/residual").iterdir()
    RunFolder(third).write_metrics(
        [{"epoch": 1.0, "loss": None, "score": 3.0}, {"epoch": 2, "loss": 0.1, "score": 3.0, "x": 1}]
    )
    reseal(third)
    folders = {r.result["id"]: r for r in RunRecords(tmp_path / "runs_of")}
    store = published(tmp_path)
    records = list(RunRecords(store))
    assert len(records) == 3
    for record in records:
        original = folders[record.result["id"]]
        assert record.folder == store / original.folder.relative_to(tmp_path / "runs_of")
        assert record.result == {key: original.result[key] for key in original.result if not key.startswith("digest")}
        assert record.history == original.history
        assert record.config == without_places(original.config)
        assert (record.predictions, record.credits) == (original.predictions, original.credits)
    assert sorted(path.name for path in store.rglob("*") if path.is_file()) == ["nano.jsonl", "nano.jsonl"]


def test_a_further_run_is_a_further_line_and_a_run_again_replaces_its_own(tmp_path):
    write_record(tmp_path / "runs_of", run())
    path = published(tmp_path) / "runs/cb/nano.jsonl"
    before = path.read_text().splitlines()
    shutil.rmtree(tmp_path / "runs_of")
    write_record(tmp_path / "runs_of", run(prompt="vanilla", seed=1))
    published(tmp_path)
    after = path.read_text().splitlines()
    assert after[: len(before)] == before and len(after) == len(before) + 1
    write_record(tmp_path / "runs_of", run(), seconds=1.5)
    published(tmp_path)
    again = path.read_text().splitlines()
    assert len(again) == len(after) and json.loads(again[0])["result"]["seconds"] == 1.5


def test_no_folder_of_the_machine_is_published(tmp_path):
    """Not from a store either that was written when they were."""
    config = run()
    config = replace(config, data=replace(config.data, name="folder", dir="/where/rows/lay"), results="/where/results")
    write_record(tmp_path / "runs_of", config)
    path = published(tmp_path) / "runs/cb/nano.jsonl"
    older = json.loads(path.read_text())
    older["config"]["data"]["dir"] = "/where/rows/lay"
    path.write_text(json.dumps(older | {"digest": digest_of(older)}) + "\n")
    assert "/where" not in published(tmp_path).joinpath("runs/cb/nano.jsonl").read_text()
    (record,) = RunRecords(tmp_path / "to")
    with pytest.raises(
        UsageError, match=r"this makes it again:\n  python -m rpt\.train .* data\.dir=FOLDER .*force=true"
    ):
        open_saved_run(record.folder)


@pytest.mark.parametrize(
    "change", [('"seconds":90.0', '"seconds":9.0'), ('"credits":[', '"credits":[1.0,'), ('"lr":0.3', '"lr":0.5')]
)
def test_a_published_record_that_was_changed_is_named(tmp_path, change):
    write_record(tmp_path / "runs_of", run())
    path = published(tmp_path) / "runs/cb/nano.jsonl"
    before = path.read_text()
    path.write_text(before.replace(*change))
    (problem,) = RunRecords(tmp_path / "to").problems
    assert path.read_text() != before
    assert "runs/cb/nano.jsonl, line 1 is not as its run left it" in problem and "publish its runs again" in problem


def test_a_damaged_record_is_refused_in_one_line_and_nothing_is_written(tmp_path, monkeypatch, capsys):
    write_record(tmp_path / "runs_of", run())
    folder = write_record(tmp_path / "runs_of", run(task="wsc"))
    (folder / "metrics.jsonl").write_text("{")
    monkeypatch.setattr(sys, "argv", ["publish", f"runs={tmp_path / 'runs_of'}", f"to={tmp_path / 'to'}"])
    with pytest.raises(SystemExit) as ended:
        publish.main()
    error = capsys.readouterr().err
    assert ended.value.code == 2 and error.count("\n") == 1 and str(folder) in error
    assert not (tmp_path / "to").exists()


def test_failed_runs_are_left_out_and_no_run_is_said(tmp_path, capsys):
    write_record(tmp_path / "runs_of", run(), status="failed", error="NonFiniteLoss: nan")
    with pytest.raises(UsageError, match="no finished run below runs="):
        published(tmp_path)
    assert "NonFiniteLoss" in capsys.readouterr().out


def test_trained_tensors_stay_where_they_are(tmp_path):
    folder = write_record(tmp_path / "runs_of", run())
    (folder / "prompt.safetensors").write_bytes(b"prompt")
    assert [path.name for path in published(tmp_path).rglob("*") if path.is_file()] == ["nano.jsonl"]
    assert (folder / "prompt.safetensors").read_bytes() == b"prompt"


def test_damaged_lines_are_named_and_the_others_are_read(tmp_path):
    for seed in (0, 1, 2):
        write_record(tmp_path / "runs_of", run(seed=seed))
    store = published(tmp_path)
    path = store / "runs/cb/nano.jsonl"
    lines = path.read_text().splitlines()
    lines[1] = lines[1][:-10]
    path.write_text("\n".join(lines) + "\n")
    records = RunRecords(store)
    assert len(list(records)) == 2 and len(records.problems) == 1
    assert "runs/cb/nano.jsonl, line 2" in records.problems[0] and str(store) not in records.problems[0]
    with pytest.raises(RecordError, match="line 2"):
        published(tmp_path)


def test_a_second_line_of_a_run_is_named_and_not_counted(tmp_path):
    """As a merge of two branches leaves it when both published the run."""
    write_record(tmp_path / "runs_of", run())
    path = published(tmp_path) / "runs/cb/nano.jsonl"
    again = json.loads(path.read_text())
    again["result"]["seconds"] = 1.5
    path.write_text(path.read_text() + json.dumps(again | {"digest": digest_of(again)}) + "\n")
    (record,) = records = RunRecords(tmp_path / "to")
    (problem,) = records.problems
    assert record.result["seconds"] == 90.0 and "nano.jsonl, line 2 is a second record of the run of" in problem
    with pytest.raises(RecordError, match="line 2 is a second record"):
        published(tmp_path)


def test_a_store_of_an_older_version_is_named_once(tmp_path):
    path = tmp_path / "runs/cb/nano.jsonl"
    path.parent.mkdir(parents=True)
    path.write_text('{"format":1,"common":{"config.lr":0.3}}\n{"id":"n10-lr0.3-seed0-00000000"}\n')
    (problem,) = RunRecords(tmp_path).problems
    assert (
        problem == "left out: runs/cb/nano.jsonl is packed as older versions did; delete it and publish its runs again."
    )
    with pytest.raises(RecordError, match="packed as older versions did"):
        RunFolder(tmp_path / "runs/cb/nano/vanilla/n10-lr0.3-seed0-00000000").finished()


def test_a_run_of_ones_own_counts_before_the_published_one(tmp_path):
    write_record(tmp_path / "runs_of", run())
    store = published(tmp_path)
    folder = write_record(store, run(), seconds=2.5)
    (record,) = RunRecords(store)
    assert record.result["seconds"] == 2.5 == RunFolder(folder).finished()["seconds"]
    RunFolder(folder).write_result({"status": "failed", "id": folder.name, "error": "E: no"})
    (record,) = records = RunRecords(store)
    assert record.result["seconds"] == 90.0 == RunFolder(folder).finished()["seconds"] and len(records.problems) == 1
    assert RunFolder(folder).read() == record and RunFolder(folder).place.endswith("nano.jsonl, line 1")


def test_runs_may_be_a_link_and_a_file_near_the_root_is_no_record(tmp_path, monkeypatch):
    write_record(tmp_path / "disk", run())
    (tmp_path / "results").mkdir()
    (tmp_path / "results/runs").symlink_to(tmp_path / "disk/runs")
    (record,) = RunRecords(tmp_path / "results")
    assert record.folder.is_relative_to(tmp_path / "results/runs/cb")
    monkeypatch.setattr(Path, "rglob", lambda *_: [Path("/result.json"), Path("/nano.jsonl")])
    assert not [*RunRecords(tmp_path / "none")]


def test_a_reason_is_shortened_by_the_folder_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    RunFolder(Path("runs/cb/nano/mlp/x")).write_result({"status": "failed", "id": "x", "error": "no ../runs/rows"})
    for below in (Path(), Path("runs"), tmp_path):
        (problem,) = RunRecords(below).problems
        assert problem.endswith("cb/nano/mlp/x: no ../runs/rows")


def test_the_file_of_a_search_is_read_whole_or_named(tmp_path):
    trial = {"task": "cb", "backbone": "nano", "prompt": "mlp", "trial": 0, "state": "failed", "held_out": None}
    trial |= {"score": None, "run": None, "values": {"lr": "0.1"}}
    write_search(tmp_path, "one", [trial, {**trial, "trial": 1, "held_out": 50}])
    write_search(tmp_path, "none", [])
    (trials,) = read_searches(tmp_path)
    assert [each["held_out"] for each in trials] == [None, 50]
    del trial["state"]
    write_search(tmp_path, "one", [trial])
    with pytest.raises(RecordError, match=r"one\.jsonl, line 1: field state is missing; restore the file, or"):
        read_searches(tmp_path)


def test_the_same_command_trains_nothing_and_a_prompt_is_made_again(configure, tmp_path, monkeypatch):
    config = configure("task=cb", "prompt=vanilla", "data.shots=4", "trainer.epochs=1", "prompt.length=3")
    score = train(config)
    results = tmp_path / "results"
    publish.publish_folders(publish.PublishArguments(str(results), str(results)))
    (path,) = results.glob("runs/*/*/*/*/result.json")
    shutil.rmtree(path.parents[2])

    def never(_):
        raise AssertionError("trained although it is published")

    monkeypatch.setattr(PreparedRun, "start", never)
    assert train(config) == score and not path.parent.exists()
    with pytest.raises(UsageError) as missing:
        open_saved_run(path.parent)
    assert "this makes it again:\n  python -m rpt.train" in str(missing.value) and "force=true" in str(missing.value)
