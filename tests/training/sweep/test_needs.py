"""What a sweep lacks is told before its runs are composed."""

import pytest
from huggingface_hub import constants
from omegaconf import OmegaConf

from rpt.errors import UsageError
from rpt.training.sweep import needs


@pytest.fixture
def composed(monkeypatch, tmp_path):
    """The hub is away; what is composed."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path))
    seen, compose = [], needs.compose
    monkeypatch.setattr(needs, "compose", lambda *parts, **more: seen.append(parts) or compose(*parts, **more))
    return seen


@pytest.mark.parametrize(
    ("overrides", "message", "compositions"),
    [
        (["backbone=nano,t5_base", "data=mini", "seed=range(100)"], "no model google-t5/t5-base", 3),
        (["backbone=nano", "data=hub,mini", "lr=0.1,0.3"], "no dataset aps/super_glue", 3),
        (["backbone=nano,nano_bert", "data=mini", "task=cb,rte,wic", "seed=0,1"], None, 3),
        (["+experiment=table1", "data.dir=rows"], "no model google-t5/t5-base", 3),
        (["+experiment=table1", "data.dir=rows", "backbone=nano"], None, 2),
        (["backbone.path=one,two", "data=mini", "backbone.stream_scale=1,0.5"], None, 3),
        (["backbone=nano", "data=mini,folder"], "give data.dir=FOLDER", 3),
    ],
)
def test_once_for_each_place_of_backbone_and_rows(composed, overrides, message, compositions):
    if message is None:
        needs.check_sweep(overrides)
    else:
        with pytest.raises(UsageError, match=message) as caught:
            needs.check_sweep(overrides)
        assert "\n" not in str(caught.value)
    assert len(composed) == compositions


@pytest.mark.parametrize(("launcher", "count"), [("BasicLauncher", 1), ("rpt_packed_launcher.PackedLauncher", 0)])
def test_what_forms_packs_needs_the_packed_launcher(caplog, launcher, count):
    cfg = OmegaConf.create({"hydra": {"launcher": {"_target_": f"hydra_plugins.{launcher}"}}})
    needs.warn_of_idle_packs(cfg, ["lr", "pack.max_runs"])
    assert caplog.text.count("pack.max_runs changes nothing without hydra/launcher=packed") == count
