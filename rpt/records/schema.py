"""What a run record holds.

Records are JSON, so they stay dicts: the classes below name their fields and types. A field that is NotRequired came
later than the first records, or belongs to some runs only. Fields that are not named here are kept and not checked.
"""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NotRequired, TypedDict

from rpt.config import Config, as_dict, settings

SCHEMA = 1  # of result.json; raise it when a field changes its meaning
ALL_STEPS = "all steps done"  # `stopped` of a run that came to the end of its budget


class Data(TypedDict):
    """The rows: how many train, choose the checkpoint and are reported."""

    name: str
    miniature: bool
    fingerprint: str
    train: int
    select: int
    report: int
    cut: NotRequired[int]  # training texts that were cut to leave room for the prompt
    form: NotRequired[str | None]  # how training and validation rows oddly differ in form, if they do


class Parameters(TypedDict):
    """How many are trained, and kept for inference; frozen: the backbone's."""

    trained: int
    kept: int
    frozen: NotRequired[int]


class Result(TypedDict):
    """result.json of a finished run. Scores in per cent; seconds are the run's share where runs train together."""

    schema: int
    created: str  # ISO 8601, UTC
    status: str
    id: str
    task: str
    backbone: str
    prompt: str  # what is trained: a reparameterization of the prompt, or a method in its place
    protocol: str
    data: Data
    scores: dict[str, float]  # by metric; "score" is the protocol's headline
    majority: dict[str, float]  # the same of always giving the training rows' most frequent answer
    best: dict[str, Any]  # step, epoch and score of the evaluation whose prompt is kept
    last: NotRequired[dict[str, Any]]  # the last line of metrics.jsonl
    no_label: NotRequired[int]  # answers that are no label of the task
    stopped: NotRequired[str | None]  # why training ended
    steps: NotRequired[int]
    trained_rows: int
    evaluations: int
    effective_batch_size: NotRequired[int]
    parameters: Parameters
    seconds: float
    trained_together: NotRequired[int]  # the most runs of its pack
    rows_per_second: dict[str, float | None]
    peak_memory_bytes: int
    backbone_fingerprint: str
    device: str
    precision: str
    versions: dict[str, str]
    digests: NotRequired[dict[str, str]]  # SHA-256 of the files beside it, by name
    digest: NotRequired[str]  # of its own fields (rpt.records.checks.digest_of)
    commit: NotRequired[str | None]  # with "+changes" where tracked files differed from it


class Failure(TypedDict):
    """result.json of a run that failed in training."""

    schema: int
    created: str
    status: str
    id: str
    error: str
    digest: NotRequired[str]


class Evaluation(TypedDict):
    """A line of metrics.jsonl. loss: mean since the line before. prompt_norm: mean length (L2) of the vectors of P'."""

    step: NotRequired[int]
    epoch: float
    loss: float | None
    score: float
    prompt_norm: NotRequired[float]


@dataclass(frozen=True)
class RunRecord:
    """One finished run.

    folder: where it lies, or lay before it was published. config: the whole configuration, as config.yaml holds it.
    predictions: the label's index or the text, by reported row. credits: what each earned, 0 to 1 (Task.credits), in
    the order of the rows. Both are None where they were not kept.
    """

    folder: Path
    config: dict[str, Any]
    result: dict[str, Any]  # the fields of Result
    history: list[dict[str, Any]]  # those of Evaluation
    predictions: list[int | str | None] | None = None
    credits: list[float] | None = None

    @cached_property
    def settings(self) -> dict[str, Any]:
        """What of the configuration decides the numbers (`rpt.config.settings`)."""
        return settings(self.config)

    @cached_property
    def identity(self) -> str:
        """Equal for runs of the same settings, whatever the weights, the precision and the version of the rows."""
        return _identity(self.settings, self.result["data"]["miniature"])


def identity_of(config: Config) -> str:
    """The identity that the record of a run with this configuration has."""
    return _identity(settings(as_dict(config)), config.data.name == "mini")


def _identity(settings: dict[str, Any], miniature: bool) -> str:
    return json.dumps([settings, miniature], sort_keys=True)


def flatten(nested: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Dotted keys. An empty dict, and one whose keys have dots of their own, stay values."""
    flat: dict[str, Any] = {}
    for key, value in nested.items():
        deeper = isinstance(value, dict) and value and not any("." in inner for inner in value)
        flat |= flatten(value, f"{prefix}{key}.") if deeper else {prefix + key: value}
    return flat
