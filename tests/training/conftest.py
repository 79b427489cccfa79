"""The embedded backbones, loaded only once; evaluations on few rows."""

import dataclasses

import pytest
from hydra import compose, initialize_config_dir

from rpt.backbones import load_backbone
from rpt.config import config_folder, to_config
from rpt.training.run import loader as loader_module


@pytest.fixture(scope="session")
def nano():
    return _embedded("nano")


@pytest.fixture(scope="session")
def nano_bert():
    return _embedded("nano_bert")


def _embedded(name):
    with initialize_config_dir(config_folder(), version_base="1.3"):
        return load_backbone(to_config(compose("train", [f"backbone={name}"])).backbone)


@pytest.fixture
def evaluate_few(monkeypatch):
    """evaluate_few(8): evaluate only the first 8 examples, for tests that do not look at scores."""
    split = loader_module.split_examples

    def evaluate(count):
        def split_few(*args):
            data = split(*args)
            report = data.report[:count]
            select = report if data.select is data.report else data.select[:count]
            return dataclasses.replace(data, report=report, select=select)

        monkeypatch.setattr(loader_module, "split_examples", split_few)

    return evaluate
