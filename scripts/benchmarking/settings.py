"""A backbone and a task that all contestants have in common, and how much of them is measured."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import transformers
from transformers import AutoTokenizer, T5Config, T5ForConditionalGeneration

import rpt.backbones
from rpt.backbones import T5Backbone, load_backbone
from rpt.backbones.device import find_device
from rpt.config import Config, compose, to_config
from rpt.records.run_folder import RunFolder
from rpt.tasks import TASKS, Example
from rpt.training.run.loader import Loader
from rpt.training.run.prepare import make_training_run
from rpt.training.run.run import TrainingRun

NANO = Path(rpt.backbones.__file__).parent / "nano"
SHAPES = {  # of the first T5, for random weights
    "t5_small": {"d_model": 512, "d_ff": 2048, "num_layers": 6, "num_heads": 8},
    "t5_base": {"d_model": 768, "d_ff": 3072, "num_layers": 12, "num_heads": 12},
    "t5_large": {"d_model": 1024, "d_ff": 4096, "num_layers": 24, "num_heads": 16},
}
MOST_ROWS = 2048  # of a split are tokenised: enough to draw batches from, and seconds instead of half a minute
LOADER = Loader()  # of rows


class Words(NamedTuple):
    """What is asked for.

    rows: a folder in the official layout; a task that it lacks has the miniature's.
    t5: a folder with a T5, or with a tokenizer alone; None is the hub's.
    random: the weights, by `SHAPES` and with the nano's tokenizer unless `t5` has one.
    """

    backbone: str
    task: str
    rows: Path
    t5: str | None
    precision: str
    random: bool = False


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

    def count_rows(self) -> tuple[int, int]:
        """How many the task has: for training, for validation."""
        data = LOADER.rows(self.config)
        return T5Backbone.count(data.train, data.task), len(data.select)


def compose_config(*overrides: str) -> Config:
    return to_config(compose("train", ["tracking=none", *overrides]))


def make_setting(words: Words) -> Setting:
    """A backbone and a task, with a way to load the backbone anew for every contestant that changes it."""
    transformers.utils.logging.set_verbosity_error()
    data = f"data.dir={words.rows}" if (words.rows / TASKS[words.task].folder).is_dir() else "data=mini"
    overrides = [f"task={words.task}", f"backbone={words.backbone}", data, "prompt=residual"]
    config = compose_config(*overrides, f"trainer.precision={words.precision}")
    paper = compose_config(*overrides, "trainer=paper")
    if words.random and words.backbone in SHAPES:
        shape = T5Config(
            vocab_size=32128, decoder_start_token_id=0, pad_token_id=0, eos_token_id=1, **SHAPES[words.backbone]
        )
        return Setting(config, paper, "random weights", partial(draw_weights, shape, words.t5 or NANO))
    if words.backbone == "nano" or words.t5 is None:
        return Setting(config, paper, "pretrained", partial(load_backbone, config.backbone))
    if Path(words.t5, "model.safetensors").is_file():
        config.backbone.path = paper.backbone.path = words.t5
        return Setting(config, paper, "pretrained", partial(load_backbone, config.backbone))
    shape = T5Config.from_pretrained(words.t5)
    return Setting(config, paper, "random weights", partial(draw_weights, shape, words.t5))


def draw_weights(shape: T5Config, tokenizer: str | Path, dropout: bool = False) -> T5Backbone:
    """A T5 of random weights, drawn where it computes: a processor would take half a minute for a T5-Large's."""
    torch.manual_seed(0)
    with find_device():
        model = T5ForConditionalGeneration(shape)
    return T5Backbone(model, AutoTokenizer.from_pretrained(tokenizer), "random weights", dropout)


def prepare(config: Config, backbone: T5Backbone) -> TrainingRun:
    """A run on evenly spaced rows of the task, not more than `MOST_ROWS` of a split."""
    data = LOADER.rows(config)
    report = thin(data.report)
    data = dataclasses.replace(data, train=thin(data.train), report=report, select=report)
    return make_training_run(config, data, backbone, RunFolder(Path(tempfile.mkdtemp())))


def thin(examples: list[Example]) -> list[Example]:
    kept = np.linspace(0, len(examples) - 1, min(MOST_ROWS, len(examples))).astype(int)
    return [examples[i] for i in kept]
