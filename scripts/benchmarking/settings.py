"""A setting: the backbone and the task that all contestants share."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import transformers
from transformers import AutoTokenizer, T5Config, T5ForConditionalGeneration

import rpt.backbones
from rpt.backbones import T5Backbone, load_backbone
from rpt.backbones.device import find_device
from rpt.config import BackboneConfig, Config, compose, to_config
from rpt.records.run_folder import RunFolder
from rpt.tasks import TASKS, Example
from rpt.training.run.loader import Loader
from rpt.training.run.prepare import make_training_run
from rpt.training.run.run import TrainingRun

NANO = Path(rpt.backbones.__file__).parent / "nano"
SHAPES: dict[str, dict[str, Any]] = {  # of the first T5, for random weights
    "t5_small": {"d_model": 512, "d_ff": 2048, "num_layers": 6, "num_heads": 8},
    "t5_base": {"d_model": 768, "d_ff": 3072, "num_layers": 12, "num_heads": 12},
    "t5_large": {"d_model": 1024, "d_ff": 4096, "num_layers": 24, "num_heads": 16},
}
TOKENS: dict[str, Any] = {"vocab_size": 32128, "decoder_start_token_id": 0, "pad_token_id": 0, "eos_token_id": 1}
MAX_ROWS = 2048  # of a split that are tokenised: enough for batches, in seconds instead of half a minute
LOADER = Loader()  # of rows


class Request(NamedTuple):
    """The setting to measure.

    rows: a folder in the official layout; for tasks that it lacks, rows come from the miniature.
    t5: a folder with a T5, or only with a tokenizer; None: from the hub.
    random: whether weights are random, with shapes from `SHAPES` and the nano's tokenizer unless `t5` has one.
    """

    backbone: str
    task: str
    rows: Path
    t5: str | None
    precision: str
    random: bool = False


@dataclass
class Setting:
    """The backbone and the task that all contestants share."""

    config: Config
    paper: Config
    weights: str
    backbone: Callable[..., T5Backbone]  # dropout=True: its layers have dropout

    @property
    def name(self) -> str:
        return f"{self.config.backbone.name} {self.config.task.name}"

    def count_rows(self) -> tuple[int, int]:
        """The task's numbers of training and validation rows."""
        data = LOADER.rows(self.config)
        return T5Backbone.count(data.train, data.task), len(data.select)


def compose_config(*overrides: str) -> Config:
    return to_config(compose("train", ["tracking=none", *overrides]))


def make_setting(request: Request) -> Setting:
    """The setting, with a function that loads a new backbone for every contestant that changes it."""
    transformers.utils.logging.set_verbosity_error()
    data = f"data.dir={request.rows}" if (request.rows / TASKS[request.task].folder).is_dir() else "data=mini"
    overrides = [f"task={request.task}", f"backbone={request.backbone}", data, "prompt=residual"]
    config = compose_config(*overrides, f"trainer.precision={request.precision}")
    paper = compose_config(*overrides, "trainer=paper")
    if request.random and request.backbone in SHAPES:
        shape = T5Config(**TOKENS, **SHAPES[request.backbone])
        return Setting(config, paper, "random weights", partial(draw_weights, shape, request.t5 or NANO))
    if request.backbone == "nano" or request.t5 is None:
        return Setting(config, paper, "pretrained", partial(load_t5, config.backbone))
    if Path(request.t5, "model.safetensors").is_file():
        config.backbone.path = paper.backbone.path = request.t5
        return Setting(config, paper, "pretrained", partial(load_t5, config.backbone))
    shape = T5Config.from_pretrained(request.t5)
    return Setting(config, paper, "random weights", partial(draw_weights, shape, request.t5))


def load_t5(config: BackboneConfig, dropout: bool = False) -> T5Backbone:
    backbone = load_backbone(config, dropout)
    assert isinstance(backbone, T5Backbone)
    return backbone


def draw_weights(shape: T5Config, tokenizer: str | Path, dropout: bool = False) -> T5Backbone:
    """A T5 with random weights, drawn on its device: a processor would take half a minute for a T5-Large."""
    torch.manual_seed(0)
    with find_device():
        model = T5ForConditionalGeneration(shape)
    return T5Backbone(model, AutoTokenizer.from_pretrained(tokenizer), "random weights", dropout)


def prepare(config: Config, backbone: T5Backbone) -> TrainingRun:
    """A run on evenly spaced rows of the task, at most `MAX_ROWS` of a split."""
    data = LOADER.rows(config)
    report = thin(data.report)
    data = dataclasses.replace(data, train=thin(data.train), report=report, select=report)
    return make_training_run(config, data, backbone, RunFolder(Path(tempfile.mkdtemp())))


def thin(examples: list[Example]) -> list[Example]:
    indices = np.linspace(0, len(examples) - 1, min(MAX_ROWS, len(examples))).astype(int)
    return [examples[i] for i in indices]
