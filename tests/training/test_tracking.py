"""W&B without a key: each job of a sweep has its own offline run, in packs too."""

import pytest

from rpt.training.sweep import train_all


@pytest.mark.slow
@pytest.mark.parametrize("together", [1, 2])
def test_every_job_is_an_offline_run_of_its_own(configure, tmp_path, monkeypatch, together):
    for name in ("WANDB_API_KEY", "WANDB_MODE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "no-netrc"))
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(tmp_path))
    words = ["task=cb", "tracking=wandb", f"tracking.dir={tmp_path}", "data.shots=8", "trainer.max_steps=2"]
    outcomes = train_all([configure(*words, f"seed={seed}") for seed in (0, 1, 2)], together)
    assert all(isinstance(outcome, float) for outcome in outcomes)
    assert len(list((tmp_path / "wandb").glob("offline-run-*/*.wandb"))) == 3
