"""What is told of kernels and waits."""

import functools
import json
import sys

import count_launches
import pytest
from transformers import BertConfig

from tests.training.engine.test_gpu import on_known_torch


@on_known_torch
@pytest.mark.slow
def test_it_writes_its_record(tmp_path, monkeypatch):
    monkeypatch.setattr(count_launches, "PACKS", (1, 3))
    monkeypatch.setitem(count_launches.SHAPES["t5_base"], "num_layers", 2)
    monkeypatch.setattr(count_launches, "BertConfig", functools.partial(BertConfig, num_hidden_layers=2))
    monkeypatch.setattr(sys, "argv", ["count_launches.py", "--out", str(tmp_path)])
    count_launches.main()
    results = json.loads((tmp_path / "launches.json").read_text())["results"]
    kernels = {(result["backbone"], result["what"]): result["kernels"] for result in results}
    assert len(kernels) == 6
    for (_, what), entry in kernels.items():
        assert (entry["backward"] > 0) == (entry["optimizer"] > 0) == what.startswith("a step")
        assert entry["forward"] > 0 and entry["all"] == entry["forward"] + entry["backward"] + entry["optimizer"]
    for result in results:
        assert not result["waits"] or result["what"].startswith("an evaluation")
        assert (result["launches"] < result["kernels"]["all"]) == result["what"].startswith("a step")  # graphs
    for backbone in ("t5_base", "bert_base"):  # as many for a pack
        assert kernels[backbone, "a step of 3 runs"] == kernels[backbone, "a step of 1 run"]
    assert "| t5_base | a step of 3 runs |" in (tmp_path / "launches.md").read_text()
