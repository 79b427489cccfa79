"""A run that starts from a saved prompt."""

from types import SimpleNamespace

import pytest
import torch

from rpt.prompts import uniform
from rpt.prompts.prompt_file import save_prompt
from rpt.training.run.first_values import load_table
from rpt.training.run.prepare import prepare_run

D = 3


def test_saved_prompt_starts_a_run(tmp_path):
    table = uniform(4, D, torch.Generator().manual_seed(0))
    save_prompt(tmp_path / "p.safetensors", table)
    assert torch.equal(load_table(tmp_path / "p.safetensors", 4, D), table)


@pytest.mark.parametrize(("length", "d_model"), [(5, D), (4, D + 1)])
def test_saved_prompt_of_another_shape_is_refused(tmp_path, length, d_model):
    path = tmp_path / "p.safetensors"
    save_prompt(path, torch.zeros(4, D))
    with pytest.raises(ValueError) as error:
        load_table(path, length, d_model)
    for part in (str(path), "(4, 3)", str((length, d_model)), "set prompt.length=4"):
        assert part in str(error.value)


def test_another_saved_prompt_is_another_run_wherever_it_lies(configure, tiny_backbone, tmp_path):
    data = SimpleNamespace(fingerprint="rows", task=None)
    loader = SimpleNamespace(rows=lambda _: data, backbone=lambda _: tiny_backbone)

    def identify(name, seed):
        path = tmp_path / name
        save_prompt(path, uniform(4, tiny_backbone.d_model, torch.Generator().manual_seed(seed)))
        config = configure("prompt.length=4", "prompt.init=saved", f"prompt.init_path={path}")
        return prepare_run(config, loader).record.folder

    first = identify("p", 0)
    assert identify("q", 0) == first != identify("p", 1)
