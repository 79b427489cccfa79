"""Checks of every record that is read: each field has its type, and the fields fit together."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter, ValidationError

from rpt.errors import RecordError
from rpt.records.schema import RunRecord, Settings
from rpt.tasks import TASKS, get_task

REMEDY = "delete its folder and run its command again, or restore it"
DAMAGE = (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, yaml.YAMLError)


class Misfit(ValueError):
    """Two fields are valid, but contradict each other."""


@contextmanager
def one_line_refusal(name: Path | str, remedy: str = REMEDY) -> Iterator[None]:
    """Turn any error of reading a record into a RecordError of one line: the record, what is wrong, the remedy."""
    try:
        yield
    except RecordError:
        raise
    except DAMAGE as error:
        raise RecordError(f"Record {name}{_describe(error)}; {remedy}.") from error


def _describe(error: Exception) -> str:
    """Say what is wrong in one line; of several wrong fields name the first."""
    if isinstance(error, Misfit):
        return f": {error}"
    if not isinstance(error, ValidationError):
        return f" cannot be read ({type(error).__name__}: {' '.join(str(error).split())})"
    first = error.errors(include_url=False)[0]
    place, file = list(first["loc"]), ""
    if place[:1] == ["history"] and len(place) > 2:
        place, file = place[2:], f"metrics.jsonl line {int(place[1]) + 1}, "
    field = file + "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in place).removeprefix(".")
    problem = f"{first['msg'].removeprefix('Input ')}, is {first['input']!r:.80}"
    problem = "is missing" if first["type"] == "missing" else " ".join(problem.split())
    return f": field {field} {problem}" if field else f": {problem}"


def digest_of(fields: Mapping[str, Any]) -> str:
    """SHA-256 of the JSON of all fields but `digest`, with sorted keys."""
    others = {key: value for key, value in fields.items() if key != "digest"}
    return hashlib.sha256(json.dumps(others, sort_keys=True).encode()).hexdigest()


def check_digest(name: Path | str, digest: str | None, expected: str | None, remedy: str = REMEDY) -> None:
    """Refuse what was changed after its run.

    Raises:
        RecordError: the digests differ.
    """
    if digest != expected:
        raise RecordError(f"{name} is not as its run left it (its digest differs); {remedy}.")


def check_config(config: object, path: Path) -> None:
    """Refuse a configuration that lacks a key or has a value of the wrong type. A key may be missing if it is newer
    than the record.

    Raises:
        RecordError: naming the key.
    """
    with one_line_refusal(path):
        adapter(Settings).validate_python(config)


def check_record(record: RunRecord) -> None:
    """Refuse a record in which something is missing, of the wrong type or impossible.

    Raises:
        ValidationError, Misfit: naming the field.
        KeyError, TypeError: its settings make no identity.
    """
    adapter(RunRecord).validate_python(record)
    result, count = record.result, record.result["data"]["report"]
    family = record.config["backbone"].get("family", "t5")
    for metric in _required_metrics(result["task"], family, result["protocol"]):
        if metric not in result["scores"]:
            raise Misfit(f"field result.scores.{metric} is missing")
    if not record.history:
        raise Misfit("metrics.jsonl should have a line for each evaluation, is empty")
    for name in ("predictions", "credits"):
        values = getattr(record, name)
        if values is not None and len(values) != count:
            raise Misfit(f"field {name} should be {count} long, one an example, is {len(values)} long")
    _ = record.identity


@cache
def _required_metrics(name: str, family: str, protocol: str) -> tuple[str, ...]:
    """List the metrics that a run must have: all of its task's except those of the other protocol's headline alone."""
    if name not in TASKS:
        return ("score",)
    task = get_task(name, family)
    headlines = {"paper": set(task.paper_score), "superglue": set(task.superglue_score)}
    headline = headlines.pop(protocol, set())
    return tuple(sorted({"score"} | headline | set(task.metrics).difference(*headlines.values())))


@cache
def adapter(kind: Any) -> TypeAdapter[Any]:
    """Make what checks values of a type, once: it takes a while."""
    return TypeAdapter(kind)
