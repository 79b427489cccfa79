"""What we change in Hydra."""

import sys

import pytest
from hydra._internal.hydra import Hydra
from hydra.core.plugins import Plugins
from hydra.core.singleton import Singleton

from rpt.config import choices, hydra_app, use_config_folder
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


def test_a_command_is_composed_once_unless_something_may_set_the_mode(tmp_path, monkeypatch):
    """A file of the user's or an override may set hydra.mode; only then does Hydra compose all to look for it."""
    monkeypatch.setattr(Hydra, "get_mode", hydra_app.GET_MODE)  # as it is again after the test
    monkeypatch.setattr(choices, "_user_folders", [])

    def looks(flags=(), overrides=()):
        hydra_app.set_up_mode({*flags}, overrides)
        return Hydra.get_mode is hydra_app.GET_MODE

    assert not looks() and not looks(["-m"], ["hydra/launcher=packed", "lr=0.1,0.3"])
    assert looks(["-m", "-cn"]) and looks([], ["+hydra.mode=MULTIRUN"]) and looks([], ["hydra.searchpath=[mine]"])
    use_config_folder(str(tmp_path))
    assert looks()
