"""One prompt being trained: its parameters, its rows, and where it stands."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from rpt.backbones import Backbone, Encoded, Heads, Row
from rpt.config import Config, TrainerConfig
from rpt.data import task_for
from rpt.data.batches import epoch_steps
from rpt.data.tokens import Tokens
from rpt.errors import UsageError
from rpt.prompts import HEAD, SoftPrompt, from_labels, from_saved, from_text, from_vocabulary, uniform
from rpt.records.run_folder import RunFolder
from rpt.training.evaluate import Evaluation
from rpt.training.tracking import Tracker

WEIGHTS = "backbone."  # before the names of what a method trains within the backbone


@dataclass
class Progress:
    """Where a run stands; with the tensors of its checkpoint, all that a resumed run needs to know."""

    step: int = 0  # steps done
    updates: int = 0  # of the optimizer; fp16 leaves some steps out
    seconds: float = 0.0  # wall time, earlier processes included; of time spent on several runs its share
    training_seconds: float = 0.0  # of it in optimizer steps
    together: int = 1  # the most runs that it was ever trained together with, itself included
    trained_rows: int = 0
    evaluation_rows_per_second: float = 0.0  # of the latest evaluation
    loss_sum: float = 0.0  # since the latest evaluation
    loss_steps: int = 0
    best_score: float | None = None
    best_step: int = 0
    evaluations_since_best: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)  # the lines of metrics.jsonl
    stopped: str | None = None  # why it is over
    wandb_id: str | None = None


def planned_steps(trainer: TrainerConfig, n_rows: int) -> tuple[int, int]:
    """Optimizer steps of an epoch over so many training rows, and of the whole run if nothing stops it earlier."""
    per_epoch = -(-n_rows // (trainer.batch_size * trainer.accumulation))
    total = per_epoch * trainer.epochs
    return per_epoch, total if trainer.max_steps is None else min(total, trainer.max_steps)


class TrainingRun:
    """A prompt being trained within a pack, with the head that an encoder needs beside it.

    Args:
        config: of this run; runs of one pack share backbone, task, data source, protocol and trainer.
        record: where its results go.
        soft_prompt: None for prompt=none, which is only evaluated.
        head: None where the backbone answers without one.
        weights: of the backbone, as far as the run's method trains them; none in prompt tuning.
        rows: its training rows.
        select, report: examples that choose its checkpoint, and that its scores are on.
    """

    def __init__(
        self, config: Config, record: RunFolder, soft_prompt: SoftPrompt | None, head: nn.Module | None,
        weights: dict[str, nn.Parameter], rows: list[Row], select: Encoded, report: Encoded,
    ):  # fmt: skip
        self.config, self.record, self.soft_prompt, self.head = config, record, soft_prompt, head
        self.weights = weights
        self.rows, self.select, self.report = rows, select, report
        self.progress = Progress()
        self.moments: dict[str, dict[str, Tensor]] = {}  # the optimizer's, by parameter
        self.best_prompt: Tensor | None = None
        self.best_head: Heads = {}
        self.best_weights: dict[str, Tensor] = {}
        self.best_evaluation: Evaluation | None = None  # of this process; a checkpoint does not hold it
        self.failure: Exception | None = None
        self.tracker: Tracker | None = None
        self.steps_per_epoch, self.total_steps = planned_steps(config.trainer, len(rows))
        if not self.parameters:
            self.total_steps = 0

    @property
    def name(self) -> str:
        config = self.config
        length = f" n{config.prompt.length}" if config.prompt.length else ""
        return f"{config.task.name} {config.variant}{length} lr{config.lr:g} seed{config.seed}"

    @property
    def parameters(self) -> dict[str, nn.Parameter]:
        """All that is trained, by name."""
        prompt = dict(self.soft_prompt.named_parameters()) if self.soft_prompt else {}
        head = dict(self.head.named_parameters(prefix=HEAD.removesuffix("."))) if self.head else {}
        return prompt | head | {f"{WEIGHTS}{name}": weight for name, weight in self.weights.items()}

    def keep_best(self, prompt: Tensor | None, head: Heads, evaluation: Evaluation) -> None:
        """Keep the folded prompt, the head and the weights as they are now, and what they were found to be worth."""
        self.best_evaluation = evaluation
        self.best_prompt = None if prompt is None else prompt.cpu()
        self.best_head = {name: value.cpu() for name, value in head.items()}
        self.best_weights = {name: weight.detach().cpu().clone() for name, weight in self.weights.items()}

    @torch.no_grad()
    def restore_best(self) -> None:
        """Put the weights that were kept back into the backbone; prompt and head are given to it at every use."""
        for name, value in self.best_weights.items():
            self.weights[name].copy_(value)

    def head_values(self) -> Heads:
        """A copy of the head as it is now."""
        return {name: value.detach().clone() for name, value in self.head.named_parameters()} if self.head else {}

    @property
    def trained_parameters(self) -> int:
        """How many numbers are trained."""
        return sum(parameter.numel() for parameter in self.parameters.values())

    @property
    def kept_parameters(self) -> int:
        """How many are left once the prompt is folded: N * d, the head's and the backbone's own."""
        network = self.soft_prompt.trained_parameters - self.soft_prompt.kept_parameters if self.soft_prompt else 0
        return self.trained_parameters - network

    def steps(self) -> Iterator[np.ndarray]:
        """The row indices of every optimizer step still to do."""
        trainer = self.config.trainer
        rows_per_step = trainer.batch_size * trainer.accumulation
        lengths = np.array([row.length for row in self.rows])
        while self.progress.step < self.total_steps:
            epoch, done = divmod(self.progress.step, self.steps_per_epoch)
            order = epoch_steps(lengths, rows_per_step, self.config.seed, epoch, trainer.order)
            yield from order[done : done + self.total_steps - self.progress.step]

    def lr_of(self, parameter: str) -> float:
        """The prompt table, the network and the head beside them may have different learning rates."""
        network_lr = self.config.trainer.network_lr
        if not self.config.tunes_prompt:
            return self.config.lr
        if parameter.startswith(HEAD):
            return self.config.trainer.head_lr
        return self.config.lr if parameter == "table" or network_lr is None else network_lr

    def evaluation_due(self) -> bool:
        """After every so many epochs, and after the last step."""
        at = self.progress.step
        epochs, rest = divmod(at, self.steps_per_epoch)
        return at == self.total_steps or (rest == 0 and epochs % self.config.trainer.eval_every == 0)

    def track(self, line: dict[str, Any]) -> None:
        if self.tracker is not None:
            self.tracker.log(line, self.progress.step)

    def seed_step(self) -> None:
        """Dropout as a function of seed and step alone, so that a resumed run draws what an unbroken one does."""
        torch.manual_seed(int(np.random.SeedSequence([self.config.seed, self.progress.step]).generate_state(1)[0]))


def new_head(config: Config, backbone: Backbone) -> nn.Module | None:
    """What the backbone needs beside a prompt, before training; the seed of the run decides its weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        head = backbone.new_head(task_for(config), config.backbone)
    return None if head is None else head.to(backbone.device)


def new_soft_prompt(config: Config, backbone: Backbone) -> SoftPrompt | None:
    """The prompt of a run before training (PROTOCOL: sampled vocabulary rows unless told otherwise).

    Raises:
        UsageError: the prompt cannot be initialised so.
    """
    prompt = config.prompt
    if prompt.length == 0:
        return None
    embeddings = backbone.embeddings.cpu()
    width = embeddings.shape[1]
    generator = torch.Generator().manual_seed(config.seed)

    def tokens(text: str) -> Tokens:
        return backbone.tokenizer(text, add_special_tokens=False)["input_ids"]

    def labels() -> list[Tokens]:
        task = task_for(config)
        return [tokens(label) for label in task.verbalizers(config.protocol.name)]

    first_values = {
        "vocabulary": lambda: from_vocabulary(embeddings, prompt.length, generator),
        "uniform": lambda: uniform(prompt.length, width, generator),
        "text": lambda: from_text(embeddings, tokens(prompt.init_text), prompt.length, generator),
        "labels": lambda: from_labels(embeddings, labels(), prompt.length, generator),
        "saved": lambda: from_saved(Path(prompt.init_path).expanduser(), prompt.length, width),
    }[prompt.init]
    try:
        table = first_values()
    except ValueError as error:
        raise UsageError(f"prompt.init={prompt.init}: {error}.") from error
    # The network's weights come from torch's global generator; the seed of the run decides them too.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        soft_prompt = SoftPrompt(table, prompt.reparameterization, **prompt.options)
    return soft_prompt.to(backbone.device)
