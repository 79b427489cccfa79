"""A sweep trained alone and in packs: what each took, and whether their scores agree."""

import json
import sys
from pathlib import Path

import pytest

from rpt.errors import UsageError
from scripts import compare_sweeps
from tests.reports.conftest import grid, write_record


def test_it_writes_times_and_scores_by_task(tmp_path, monkeypatch, capsys):
    def train(overrides):
        packed, folder = "hydra/launcher=packed" in overrides, overrides[-1].removeprefix("results=")
        assert overrides[0] == "+experiment=table1"
        for config in grid("table1").jobs.values():
            if config.seed == 0 and config.task.name in ("cb", "wsc") and config.backbone.name == "nano":
                write_record(Path(folder), config, trained_together=6 if packed else 1)
        return 40.0 if packed else 100.0

    monkeypatch.setattr(compare_sweeps, "train", train)
    monkeypatch.setattr(sys, "argv", ["compare_sweeps.py", str(tmp_path / "t5-v1.1"), "+experiment=table1"])
    compare_sweeps.main()
    record = json.loads((tmp_path / "t5-v1.1.json").read_text())
    assert record["seconds"] == {"alone": 100.0, "packed": 40.0} and len(record["runs"]) == 10
    assert all(run["score"]["alone"] == run["score"]["packed"] for run in record["runs"])
    shown = (tmp_path / "t5-v1.1.md").read_text()
    assert "100 s" in shown and "40 s, 40% of it" in shown and "| cb | 5 | 6 |" in shown and "| all | 10 |" in shown
    assert shown in capsys.readouterr().out
    (tmp_path / "t5-v1.1.md").unlink()
    (tmp_path / "t5-v1.1.md").mkdir()
    monkeypatch.setattr(compare_sweeps, "train", None)
    with pytest.raises(UsageError, match=r"out=.*t5-v1\.1\.md cannot be used \(it is a folder or a device\)"):
        compare_sweeps.main()


def test_a_sweep_that_fails_is_not_compared(tmp_path):
    with pytest.raises(SystemExit, match="ended with code"):
        compare_sweeps.train(["task=nothing", f"results={tmp_path}"])
