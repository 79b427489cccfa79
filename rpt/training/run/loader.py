"""Backbone and rows, loaded once a sweep."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable

from rpt.backbones import Backbone, load_backbone
from rpt.backbones.device import find_device, precision_of
from rpt.config import Config
from rpt.data import task_for
from rpt.data.form import compare_forms
from rpt.data.overlap import check_overlap
from rpt.data.sources import read_examples
from rpt.data.splits import TaskData, split_examples
from rpt.tasks import Example


class Loader:
    """Caches the latest backbone and the rows of the latest task, for the successive runs of a sweep."""

    def __init__(self) -> None:
        self._backbone: Backbone | None = None
        self._backbone_key: Hashable = None
        self._examples: dict[str, list[Example]] = {}
        self._source: Hashable = None
        self._form: str | None = None
        self._rows: dict[Hashable, TaskData] = {}

    def backbone(self, config: Config) -> Backbone:
        """The run's backbone, with the run's `precision`. In prompt tuning it is on its device; for a method that
        changes the backbone it is still as loaded.

        Raises:
            UsageError: it cannot be loaded.
        """
        precision = precision_of(config)
        trainer = config.trainer
        how = trainer.dropout, trainer.gradient_checkpointing, precision, config.tunes_prompt
        key = dataclasses.astuple(config.backbone), how
        if self._backbone is None or key != self._backbone_key:
            self.forget_backbone()  # first: memory may hold one alone
            backbone = load_backbone(config.backbone, trainer.dropout, precision)
            backbone.precision, backbone.recomputes = precision, trainer.gradient_checkpointing
            if config.tunes_prompt:
                backbone.place(find_device(), precision)
            self._backbone, self._backbone_key = backbone, key
        return self._backbone

    def hand_over_backbone(self, config: Config) -> Backbone:
        """A backbone that the run may change; the next run gets a new one."""
        backbone = self.backbone(config)
        self.forget_backbone()
        return backbone

    def forget_backbone(self) -> None:
        self._backbone = self._backbone_key = None

    def rows(self, config: Config) -> TaskData:
        """The run's examples.

        Raises:
            UsageError: they cannot be read.
        """
        task = task_for(config)
        whole = dataclasses.replace(config.data, shots=None, shots_seed=0)  # the rows to read, before shots are drawn
        source = dataclasses.astuple(config.task), config.backbone.family, dataclasses.astuple(whole)
        if source != self._source:
            self._source, self._examples, self._rows = None, {}, {}
            self._examples = read_examples(config.data, task, config.task)
            check_overlap(task, self._examples["train"], self._examples["val"])
            self._form = compare_forms(task, self._examples["train"], self._examples["val"])
            self._source = source
        split = dataclasses.astuple(config.data), dataclasses.astuple(config.protocol)
        if split not in self._rows:
            data = split_examples(self._examples, task, config.data, config.protocol)
            self._rows[split] = dataclasses.replace(data, form=self._form)
        return self._rows[split]
