"""The runs behind the tables of real rows: every sweep exists, is trained in order, and ends when its time is over."""

import json
from types import SimpleNamespace

import evidence
import gpu
import pytest

from rpt.config.grids import Grids
from tests.backbones.test_loading import save_t5
from tests.processes import start


@pytest.mark.slow
def test_every_sweep_is_a_part_of_the_grid_at_laptop_scale():
    for name, *part in evidence.SWEEPS:
        whole = {config.seed for config in Grids("laptop", part).lay_out(name.partition("_")[0]).jobs.values()}
        assert whole and whole <= {0, 1, 2}, name


@pytest.mark.slow
def test_a_dry_run_leaves_records(shared, tmp_path, monkeypatch):
    """On a model of two layers, packed as on a GPU; its commands are forks."""

    def fork(command, env):
        started = start(command[2], command[3:], tmp_path, **env)
        return SimpleNamespace(wait=lambda seconds: started.wait(seconds).returncode)

    monkeypatch.setattr(evidence, "subprocess", SimpleNamespace(Popen=fork, TimeoutExpired=TimeoutError))
    save_t5(tmp_path / "model")
    monkeypatch.setattr(gpu, "has_gpu", lambda: True)
    monkeypatch.setattr(evidence, "SWEEPS", (("table6", "task=cb"), ("table4", "task=cb")))
    short = ["seed=0", "backbone.name=tiny", "trainer.max_steps=2", "data.shots=4", "pack.processes=1"]
    passed = ["--rows", str(shared / "superglue"), "--weights", str(tmp_path / "model"), "--out", str(tmp_path / "out")]
    outcomes = evidence.train_sweeps(evidence.parse([*passed, "--only", "table6", "--", *short]), is_gpu=True)
    assert outcomes == {"table6 task=cb": "complete"}
    results = [json.loads(path.read_text()) for path in (tmp_path / "out").rglob("result.json")]
    assert [result["backbone"] for result in results] == ["tiny"] * 2
    assert {result["trained_together"] for result in results} <= {1, 2}
    late = evidence.train_sweeps(evidence.parse([*passed, "--minutes", "0", "--", *short]), is_gpu=True)
    assert set(late.values()) == {"not begun"}


def test_without_a_gpu_the_way_on_is_named(monkeypatch):
    monkeypatch.setattr(gpu, "has_gpu", lambda: False)
    with pytest.raises(SystemExit, match=r"no GPU here; `python scripts/evidence\.py` trains on a processor"):
        gpu.main(["--evidence"])


def test_what_the_command_for_a_gpu_is_told_reaches_the_runs(monkeypatch):
    passed = []
    monkeypatch.setattr(gpu, "has_gpu", lambda: True)
    monkeypatch.setattr(evidence, "main", lambda arguments: passed.extend(arguments) or 0)
    gpu.main(["--evidence", "--rows", "a", "--weights", "b", "--out", "c", "--minutes", "2"])
    assert passed == ["--rows", "a", "--minutes", "2.0", "--weights", "b", "--out", "c"]
