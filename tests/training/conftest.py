"""The embedded backbones, loaded once."""

import pytest
from hydra import compose, initialize_config_dir

from rpt.backbones import load_backbone
from rpt.config import config_folder, to_config


@pytest.fixture(scope="session")
def nano():
    return _embedded("nano")


@pytest.fixture(scope="session")
def nano_bert():
    return _embedded("nano_bert")


def _embedded(name):
    with initialize_config_dir(config_folder(), version_base="1.3"):
        return load_backbone(to_config(compose("train", [f"backbone={name}"])).backbone)
