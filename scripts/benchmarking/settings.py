"""A backbone and a task that all contestants have in common, and how much of them is measured."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
import transformers
from transformers import AutoTokenizer, T5Config, T5ForConditionalGeneration

from rpt.backbones import T5Backbone, load_backbone
from rpt.config import Config, compose, to_config
from rpt.records.run_folder import RunFolder
from rpt.training.loader import Loader
from rpt.training.prepare import make_training_run
from rpt.training.run import TrainingRun

Words = tuple[str, str, Path, str | None, str]  # of `make_setting`


@dataclass
class Setting:
    """A backbone and a task: what all contestants have in common."""

    config: Config
    paper: Config
    weights: str
    backbone: Callable[..., T5Backbone]  # dropout=True: its layers drop out

    @property
    def name(self) -> str:
        return f"{self.config.backbone.name} {self.config.task.name}"


def compose_config(*overrides: str) -> Config:
    return to_config(compose("train", ["tracking=none", *overrides]))


def make_setting(backbone: str, task: str, rows: Path, t5: str | None, precision: str) -> Setting:
    """A backbone and a task, with a way to load the backbone anew for every contestant that changes it."""
    transformers.utils.logging.set_verbosity_error()
    data = f"data.dir={rows}" if rows.is_dir() else "data=mini"
    words = [f"task={task}", f"backbone={backbone}", data, "prompt=residual"]
    config = compose_config(*words, f"trainer.precision={precision}")
    paper = compose_config(*words, "trainer=paper")
    if backbone == "nano" or t5 is None:
        return Setting(config, paper, "pretrained", partial(load_backbone, config.backbone))
    if Path(t5, "model.safetensors").is_file():
        config.backbone.path = paper.backbone.path = t5
        return Setting(config, paper, "pretrained", partial(load_backbone, config.backbone))

    def random_weights(dropout: bool = False) -> T5Backbone:
        torch.manual_seed(0)
        model = T5ForConditionalGeneration(T5Config.from_pretrained(t5))
        return T5Backbone(model, AutoTokenizer.from_pretrained(t5), "random weights", dropout)

    return Setting(config, paper, "random weights", random_weights)


def prepare(config: Config, backbone: T5Backbone) -> TrainingRun:
    return make_training_run(config, Loader().rows(config), backbone, RunFolder(Path(tempfile.mkdtemp())))
