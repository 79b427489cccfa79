"""Carrying weights: the pieces of a backbone's folder give the same backbone elsewhere, and damage is refused."""

from pathlib import Path

import carry_weights
import pytest
from carry_weights import pack, unpack
from safetensors.torch import load_file, save_file

from rpt.backbones import load_backbone
from rpt.backbones.loading import FINGERPRINTS
from rpt.config import BackboneConfig
from rpt.errors import UsageError


def test_a_folder_is_carried_in_pieces(tmp_path, tiny, monkeypatch):
    source = Path(tiny.removeprefix("backbone.path="))
    monkeypatch.setattr(carry_weights, "PIECE", 100_000)
    whole = load_backbone(BackboneConfig("carried", "t5", path=str(source)))
    monkeypatch.setitem(FINGERPRINTS, "carried", whole.fingerprint)
    pieces, folder = pack(source, tmp_path / "pieces"), tmp_path / "joined"
    assert len(pieces) > 1 and all(piece.stat().st_size <= 100_000 for piece in pieces)
    unpack(tmp_path / "pieces", folder)
    carried = BackboneConfig("carried", "t5", path=str(folder))
    assert load_backbone(carried).fingerprint == whole.fingerprint

    pieces[0].write_bytes(pieces[0].read_bytes()[:-1])
    with pytest.raises(UsageError, match="piece-000 is damaged; carry it again"):
        unpack(tmp_path / "pieces", tmp_path / "again")
    weights = load_file(folder / "model.safetensors")
    save_file(weights | {"shared.weight": 2 * weights["shared.weight"]}, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(UsageError, match=r"has other weights than it should.*backbone\.name=NAME"):
        load_backbone(carried)
