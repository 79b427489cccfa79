"""All runs as one data frame: the way from records to numbers."""

import re
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from pyarrow.parquet import read_table

from rpt.errors import UsageError
from rpt.records.published import publish
from rpt.records.run_folder import RunFolder
from rpt.records.run_records import RunRecords
from rpt.reports.frame import load_runs
from rpt.reports.scores import run_scores, task_scores
from tests.conftest import ROOT

from .conftest import grid, write_record


def test_one_row_a_run_with_configuration_scores_and_provenance(tmp_path):
    config = next(c for c in grid("table1").jobs.values() if (c.task.name, c.prompt.name) == ("cb", "residual"))
    folder = write_record(tmp_path, config)
    write_record(tmp_path, next(c for c in grid("figure5").jobs.values() if c.data.shots == 5))
    runs = load_runs(tmp_path).set_index("folder")
    run = runs.loc[str(folder)]
    assert len(runs) == 2 and runs.attrs["problems"] == []
    assert (run["task"], run["prompt"], run["prompt.length"], run["lr"]) == ("cb", "residual", 10, config.lr)
    record = next(record for record in RunRecords(tmp_path) if record.folder == folder)
    assert run["scores.macro_f1"] == record.result["scores"]["macro_f1"] and run["majority.score"] == 48.0
    assert (run["seconds"], run["parameters.kept"], run["data.report"]) == (90.0, 2560, 120)
    assert run["history"] == record.history and run["credits"] == record.credits and run["identity"] == record.identity
    assert run["commit"] == "0123456789abcdef" and run["precision"] == "fp32"


def test_records_are_found_at_any_depth_and_none_is_an_error(tmp_path):
    folder = write_record(tmp_path / "outputs/one", next(iter(grid("table6").jobs.values())))
    for place in (tmp_path, tmp_path / "outputs", tmp_path / "outputs/one/runs", folder.parents[1]):
        assert list(load_runs(place)["folder"]) == [str(folder)]
    with pytest.raises(UsageError, match="There is no folder"):
        load_runs(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=r"no finished run below \S+/empty: no run at all"):
        load_runs(tmp_path / "empty")


def test_copies_of_a_run_count_once_and_of_records_that_differ_the_latest(tmp_path):
    config = next(iter(grid("table6").jobs.values()))
    folder = write_record(tmp_path / "one", config)
    publish([RunFolder(folder).read()], tmp_path / "two")
    shutil.copytree(folder, tmp_path / "three" / folder.relative_to(tmp_path / "one"))
    runs = load_runs(tmp_path)
    assert len(runs) == 1 and len(runs.attrs["problems"]) == 1
    assert runs.attrs["problems"][0].startswith("left out: 2 copies of runs that are there already, as t")
    write_record(tmp_path / "four", config, created="2026-11-24T12:00:00+00:00", seconds=5.0)
    runs = load_runs(tmp_path)
    assert list(runs["seconds"]) == [5.0]
    assert any("is another record of the run four/runs/cb/" in line for line in runs.attrs["problems"])


def test_every_published_record_is_read():
    runs = load_runs(ROOT / "results")
    lines = [path.read_text().count("\n") for path in ROOT.glob("results/runs/*/*.jsonl")]
    assert len(runs) == sum(lines) > 0


def test_the_frame_can_be_written_to_parquet_and_read_again(tmp_path):
    """With labels and open answers, and with methods that have options and none."""
    runs = load_runs(ROOT / "results")
    assert runs["texts"].notna().any() and runs["predictions"].notna().any()
    runs.to_parquet(tmp_path / "runs.parquet")
    table = read_table(tmp_path / "runs.parquet")
    for column in ("id", "scores.score", "predictions", "texts", "credits"):
        assert table.column(column).to_pylist() == list(runs[column])


def test_a_metric_that_is_not_recorded_does_not_count(study):
    few = study("table1", keep=lambda c: c.seed == 0 and c.task.name in ("cb", "copa"))
    scores = run_scores(few, {"cb": ("accuracy", "no_such"), "copa": ("accuracy",)})
    assert scores.xs("cb", level="task").isna().all() and scores.xs("copa", level="task").notna().all()
    assert task_scores(few, {})["average"].isna().all()  # two tasks are missing


def test_what_results_readme_shows_has_the_values_of_the_table(monkeypatch, capsys):
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "results/README.md").read_text(), flags=re.S)
    monkeypatch.chdir(ROOT)
    exec(code, names := {})
    assert "residual" in capsys.readouterr().out
    table = pd.read_csv("results/tables/table1-mini.csv").query("n > 0 and column != 'average'")
    cells = table.set_index(["backbone", "column", "prompt"])[["mean", "sd", "n"]].sort_index()
    assert len(cells) == 17 and list(cells.index) == list(names["scores"].index)
    assert np.allclose(cells, names["scores"], atol=1e-4)


@pytest.mark.slow
def test_a_report_is_built_without_torch(recorded):
    folder = recorded("table6", keep=lambda c: c.seed == 0 and c.task.name == "cb")
    code = (
        "import sys; from pathlib import Path; from rpt.reports import report; report.names = lambda: ['table6'];"
        f"files, problems = report.build(Path({str(folder)!r}), html=True); assert 'REPORT.md' in files, problems;"
        "assert not {'torch', 'transformers'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
