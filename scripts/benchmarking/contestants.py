"""A contestant: our trainer in this process, alone or in a pack."""

from __future__ import annotations

from copy import deepcopy

import numpy as np

from rpt.backbones import T5Backbone
from rpt.backbones.device import find_device, precision_of
from rpt.training.engine.pack import Pack
from rpt.training.run.evaluate import evaluate
from rpt.training.run.run import TrainingRun, read_losses
from rpt.training.sweep.memory import choose_max_tokens


class Ours:
    """Our trainer: `together` copies of `run` at once, each on its own part of the batches.

    Args:
        graphs: whether passes may be recorded as CUDA graphs.
    """

    def __init__(
        self,
        run: TrainingRun,
        batches: list[np.ndarray],
        backbone: T5Backbone,
        together: int = 1,
        graphs: bool = True,
    ):
        config = run.config
        self.config, self.batches, self.backbone, self.together = config, batches, backbone, together
        self.backbone.place(find_device(), precision_of(config))
        shared = run.weights, run.rows, run.select, run.report  # by all copies: making them takes longer than a turn
        assert run.soft_prompt is not None
        prompts = [deepcopy(run.soft_prompt).to(backbone.device) for _ in range(together)]
        self.runs = [TrainingRun(config, run.record, prompt, None, *shared) for prompt in prompts]
        self.pack = Pack(backbone, together, choose_max_tokens(config, backbone), graphs)
        self.pack.join(self.runs)

    def train(self, batches: int) -> None:
        """Train on so many batches; after the last one it starts again with the first."""
        for start in range(0, batches, self.together):
            part = [self.batches[i % len(self.batches)] for i in range(start, start + self.together)]
            self.pack.active = {run: iter([batch]) for run, batch in zip(self.runs, part, strict=True)}
            self.pack.step()
        read_losses(self.runs)  # waits for the device

    def evaluate(self, rows: int) -> None:
        run = self.runs[0]
        some = np.linspace(0, len(run.report.examples) - 1, rows).astype(int).tolist()
        evaluate(self.backbone, run.fold_prompt(), run.copy_head(), run.report.pick(some), self.config)
