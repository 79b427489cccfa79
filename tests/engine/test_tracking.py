"""W&B without a key: each job of a sweep has its own offline run, and its scores are the record's."""

import pytest

from rpt.train import train


@pytest.mark.slow
def test_two_jobs_are_two_offline_runs(configure, tmp_path, monkeypatch):
    for name in ("WANDB_API_KEY", "WANDB_MODE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "no-netrc"))
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(tmp_path))
    for seed in (0, 1):
        words = ["tracking=wandb", f"tracking.dir={tmp_path}", f"seed={seed}", "data.shots=8", "trainer.max_steps=2"]
        train(configure("task=cb", *words))
    assert len(list((tmp_path / "wandb").glob("offline-run-*/*.wandb"))) == 2
