"""Two sweeps of the same runs side by side: what each took, and whether their scores agree."""

import json
import sys

import pytest

from scripts import compare_sweeps
from tests.results.conftest import grid, write_record


def sweep(folder, seconds, **changes):
    for config in grid("figure6").jobs.values():
        if config.seed == 0 and config.task.name in ("cb", "wic"):
            write_record(folder, config, seconds=seconds, trained_together=6, **changes)


def test_it_writes_times_and_scores_by_task(tmp_path, monkeypatch, capsys):
    sweep(tmp_path / "alone", 10.0)
    sweep(tmp_path / "packed", 4.0)
    monkeypatch.setattr(
        sys, "argv", ["compare_sweeps.py", *(str(tmp_path / each) for each in ("alone", "packed", "out"))]
    )
    compare_sweeps.main()
    runs = json.loads((tmp_path / "out.json").read_text())["runs"]
    assert len(runs) == 12 and all(run["seconds"] == {"alone": 10.0, "packed": 4.0} for run in runs)
    assert all(run["score"]["alone"] == run["score"]["packed"] for run in runs)
    shown = (tmp_path / "out.md").read_text()
    assert (
        "| cb | 6 | 6 | 60 s | 24 s | 0.40 |" in shown and "| all | 12 |" in shown and shown in capsys.readouterr().out
    )


def test_sweeps_that_cannot_be_compared_are_refused(tmp_path):
    sweep(tmp_path / "alone", 10.0)
    with pytest.raises(SystemExit, match="no finished run in common"):
        compare_sweeps.compare(tmp_path / "alone", tmp_path / "nowhere")
    sweep(tmp_path / "elsewhere", 4.0, device="CPU, 8 threads")
    with pytest.raises(SystemExit, match="several conditions"):
        compare_sweeps.compare(tmp_path / "alone", tmp_path / "elsewhere")
