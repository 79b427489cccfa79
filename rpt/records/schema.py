"""What a record holds, as types. pydantic checks them (rpt.records.checks).

Records are JSON, so they stay dicts. A field that is NotRequired came later than the first records, or belongs to some
runs only. Fields that are not named here stay in a record and are not checked.
"""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, NotRequired, get_type_hints

from annotated_types import Predicate
from omegaconf import MISSING
from pydantic import ConfigDict, Field, GetPydanticSchema, with_config
from pydantic_core.core_schema import custom_error_schema
from typing_extensions import TypedDict  # pydantic cannot read typing's before python 3.12

from rpt.config import Config, as_dict, is_name, settings
from rpt.config.schema import Values

SCHEMA: Literal[1] = 1  # of result.json; raise it when a field changes its meaning
ALL_STEPS = "all steps done"  # `stopped` of a run that came to the end of its budget

# A number is no "1", true or NaN; what is an instance already is checked too.
strict = with_config(ConfigDict(strict=True, allow_inf_nan=False, revalidate_instances="always"))


def _expect(what: str) -> GetPydanticSchema:
    """Replace pydantic's message for a value that is not of the annotated type."""
    message = f"Input should be {what}"
    return GetPydanticSchema(lambda kind, make: custom_error_schema(make(kind), "kind", custom_error_message=message))


Name = Annotated[str, Predicate(lambda text: is_name(text.replace("+", ""))), _expect("a part of a path")]  # lr1e+06
Count = Annotated[int, Field(ge=0), _expect("0 or more")]
Amount = Annotated[float, Field(ge=0), _expect("0 or more")]
PerCent = Annotated[float, Field(ge=0, le=100), _expect("from 0 to 100")]
Answer = Annotated[int | str | None, _expect("a label's index, a text or null")]
Credit = Annotated[float, Field(ge=0, le=1), _expect("from 0 to 1")]


def _as_typed_dict(cls: Any) -> Any:
    """Make a TypedDict with the fields of a configuration's class; a field with a default may be missing."""
    types, fields = get_type_hints(cls), {}
    for field in dataclasses.fields(cls):
        kind, needed = types[field.name], field.default == MISSING
        if dataclasses.is_dataclass(kind):
            kind = _as_typed_dict(kind)
            needed = bool(kind.__required_keys__)
        fields[field.name] = kind if needed else NotRequired[kind]
    return strict(TypedDict(cls.__name__, fields))  # type: ignore[operator]


Settings = Annotated[Values, GetPydanticSchema(lambda _, make: make(_as_typed_dict(Config)))]  # as in config.yaml


class Data(TypedDict):
    """The rows: how many train, choose the checkpoint and are reported."""

    name: str
    miniature: bool
    fingerprint: str
    train: Count
    select: Count
    report: Count
    cut: NotRequired[int]  # training texts that were cut to leave room for the prompt
    form: NotRequired[str | None]  # how the form of training and validation rows differs, if it does


class Parameters(TypedDict):
    """How many are trained, and kept for inference; frozen: the backbone's."""

    trained: int
    kept: int
    frozen: NotRequired[int]


class Evaluation(TypedDict):
    """A line of metrics.jsonl. loss: mean since the line before. prompt_norm: mean length (L2) of the vectors of P'."""

    step: NotRequired[Count]
    epoch: Amount
    loss: float | None
    score: PerCent
    prompt_norm: NotRequired[float]


@strict
class Result(TypedDict):
    """How a run finished. Scores in per cent; seconds are the run's share where runs train together."""

    schema: Literal[1]
    created: str  # ISO 8601, UTC
    status: Literal["finished"]
    id: Name
    task: Name
    backbone: Name
    prompt: Name  # what is trained: a reparameterization of the prompt, or a method in its place
    protocol: str
    data: Data
    scores: dict[str, PerCent]  # by metric; "score" is the protocol's headline
    majority: dict[str, PerCent]  # the same if every answer is the training rows' most frequent one
    best: dict[str, float]  # step, epoch and score of the evaluation whose prompt is kept
    last: NotRequired[Evaluation]  # the last line of metrics.jsonl
    no_label: NotRequired[int]  # answers that are no label of the task
    stopped: NotRequired[str | None]  # why training ended
    steps: NotRequired[int]
    trained_rows: Count
    evaluations: Count
    effective_batch_size: NotRequired[int]
    parameters: Parameters
    seconds: Amount
    trained_together: NotRequired[int]  # the most runs of its pack
    rows_per_second: dict[str, float | None]
    peak_memory_bytes: Count
    backbone_fingerprint: str
    device: str
    precision: str
    versions: dict[str, str]
    commit: NotRequired[str | None]  # with "+changes" where tracked files differed from it


@strict
class ResultFile(Result):
    """result.json of a finished run: the same, with digests."""

    digests: dict[str, str]  # SHA-256 of the files beside it, by name
    digest: str  # of its other fields (rpt.records.checks.digest_of)


@strict
class Failure(TypedDict):
    """result.json of a run that failed in training."""

    schema: Literal[1]
    created: str
    status: Literal["failed"]
    id: str
    error: str
    digest: str


@strict
@dataclass(frozen=True)
class RunRecord:
    """One finished run: what the files of its folder hold, or its line of the published store.

    folder: where it lies, or lay before it was published. history: metrics.jsonl. predictions: by reported row the
    label's index or the text. credits: what each of them earned. line: of the store, e.g. "runs/cb/nano.jsonl, line 3".
    """

    folder: Path
    config: Settings
    result: Result
    history: list[Evaluation]
    predictions: list[Answer] | None = None
    credits: list[Credit] | None = None
    line: str = ""

    @property
    def place(self) -> tuple[str, ...]:
        """Task, backbone, prompt and id, which no other run has."""
        return self.folder.parts[-4:]

    @property
    def contents(self) -> Values:
        """What all copies of a run have in common, in folders and in the published store."""
        result = {key: value for key, value in self.result.items() if key not in ("digests", "digest")}
        return {"result": result} | {name: getattr(self, name) for name in ("history", "predictions", "credits")}

    @cached_property
    def settings(self) -> Values:
        """The part of the configuration that decides the numbers (`rpt.config.settings`)."""
        return settings(self.config)

    @cached_property
    def identity(self) -> str:
        """Equal for runs of the same settings; weights, precision and rows may differ."""
        return _identity(self.settings, self.result["data"]["miniature"])


def identity_of(config: Config) -> str:
    """The identity that the record of a run with this configuration has."""
    return _identity(settings(as_dict(config)), config.data.name == "mini")


def _identity(settings: Values, miniature: bool) -> str:
    return json.dumps([settings, miniature], sort_keys=True)


def flatten(nested: Mapping[str, Any], prefix: str = "") -> Values:
    """Flatten nested dictionaries to dotted keys. An empty one, and one whose keys contain dots, stay values."""
    flat: Values = {}
    for key, value in nested.items():
        deeper = isinstance(value, dict) and value and not any("." in inner for inner in value)
        flat |= flatten(value, f"{prefix}{key}.") if deeper else {prefix + key: value}
    return flat
