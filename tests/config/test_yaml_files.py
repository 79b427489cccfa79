"""YAML files: values are typed as by Hydra, and a written value is read as the same value."""

import pytest
import yaml
from omegaconf import OmegaConf

from rpt.config.yaml_files import dump_yaml, load_yaml

SCALARS = ["1e-3", "1.0e-05", "2026-01-01", "0o7", "1:30", "yes", "null", "~", "1_000", "0x1f", ".inf", "a b", "${x}"]


@pytest.mark.parametrize("scalar", SCALARS)
def test_a_value_is_what_hydra_takes_it_for(tmp_path, scalar):
    path = tmp_path / "a.yaml"
    path.write_text(f"a: {scalar}\n")
    read, hydras = load_yaml(path.read_text())["a"], OmegaConf.to_container(OmegaConf.load(path))["a"]
    assert (read, type(read)) == (hydras, type(hydras))


@pytest.mark.parametrize("scalar", SCALARS)
def test_a_text_stays_a_text(scalar):
    assert load_yaml(dump_yaml({"a": scalar})) == yaml.safe_load(dump_yaml({"a": scalar})) == {"a": scalar}
