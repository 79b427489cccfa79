"""What we change in Hydra."""

import sys

import pytest
from hydra.core.plugins import Plugins
from hydra.core.singleton import Singleton

from rpt.config import hydra_app
from rpt.train import main


def test_each_job_of_a_sweep_is_composed_once(tmp_path, monkeypatch, capsys):
    compose_job, composed = hydra_app.COMPOSE_JOB, []

    def compose_and_count(loader, config, overrides):
        composed.append(overrides)
        return compose_job(loader, config, overrides)

    monkeypatch.setattr(hydra_app, "COMPOSE_JOB", compose_and_count)
    monkeypatch.delitem(Singleton._instances, Plugins, raising=False)  # another test's Hydra may not know our launcher
    monkeypatch.chdir(tmp_path)
    overrides = ["backbone=nano", "data=mini", "tracking=none", "prompt.length=9999,9998", "hydra/launcher=packed"]
    monkeypatch.setattr(sys, "argv", ["train", "-m", *overrides])
    with pytest.raises(SystemExit, match="2"):
        main()
    assert "prompt.length=9999 is longer" in capsys.readouterr().err  # before anything is trained
    assert len(composed) == 2 and composed[0] != composed[1]
