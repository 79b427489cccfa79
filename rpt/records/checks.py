"""The check of every record that is read: what is there is of its type, and possible."""

import dataclasses
import hashlib
import json
import math
import types
from functools import cache
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints, is_typeddict

from omegaconf import MISSING

from rpt.config import Config, is_name
from rpt.errors import RecordError
from rpt.records.schema import SCHEMA, Evaluation, Failure, Result, RunRecord
from rpt.tasks import TASKS, get_task

KINDS = {
    float: "a number", int: "a whole number", str: "a text", bool: "true or false", types.NoneType: "null",
    dict: "a mapping",
}  # fmt: skip
REMEDY = "delete its folder and run its command again, or restore it"


def check_result(result: Any, path: Path) -> dict[str, Any]:
    """Refuse a result.json that is of another schema, is not as its run left it, or lacks a field.

    Raises:
        RecordError: naming the file or the field.
    """
    if not isinstance(result, dict) or result.get("schema") != SCHEMA:
        found = result.get("schema") if isinstance(result, dict) else None
        raise RecordError(f"Record {path} has schema {found!r:.80}, this version reads {SCHEMA}; {REMEDY}.")
    if "digest" in result and result["digest"] != digest_of(result):  # records that are older have none
        raise RecordError(f"{path} is not as its run left it (its digest differs); {REMEDY}.")
    kind = {"finished": Result, "failed": Failure}.get(str(result.get("status")))
    if kind is None:
        raise RecordError(f"Record {path} has status {result.get('status')!r:.80}; {REMEDY}.")
    _check(result, kind, "", path)
    if kind is Result:
        for field in ("id", "task", "backbone", "prompt"):
            if not is_name(result[field].replace("+", "")):  # an id has one in lr1e+06
                raise RecordError(
                    f"Record {path}: field {field} should be a part of a path, is {result[field]!r:.80}; {REMEDY}."
                )
    return result


def digest_of(result: dict[str, Any]) -> str:
    """SHA-256 of a result's fields but for `digest`, in which it is kept: of their JSON, with sorted keys."""
    fields = {key: value for key, value in result.items() if key != "digest"}
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


def check_record(record: RunRecord) -> None:
    """Refuse a record in which something that tables and figures stand on is missing or of the wrong type. Its result
    is one that `check_result` let through.

    Raises:
        RecordError: naming the field.
        KeyError: of the configuration, whose keys have no schema here.
    """
    path, result = record.folder, record.result
    check_config(record.config, path)
    for metric in _metrics_of(result["task"], record.config["backbone"].get("family", "t5"), result["protocol"]):
        _check(result["scores"].get(metric), float, f"scores.{metric}", path)
    for number, line in enumerate(record.history, start=1):
        _check(line, Evaluation, f"metrics.jsonl line {number}, ", path)
    if record.predictions is not None:
        _check(record.predictions, list[int | str | None], "predictions", path)
    if record.credits is not None:
        _check(record.credits, list[float], "credits", path)
    _check_ranges(record)
    _ = record.identity


def _check_ranges(record: RunRecord) -> None:
    """Refuse numbers that no run can have."""
    result = record.result
    counts = {f"data.{key}": result["data"][key] for key in ("train", "select", "report")}
    counts |= {key: result[key] for key in ("seconds", "trained_rows", "evaluations", "peak_memory_bytes")}
    per_cent = {f"{of}.{metric}": score for of in ("scores", "majority") for metric, score in result[of].items()}
    for number, line in enumerate(record.history, start=1):
        counts |= {f"metrics.jsonl line {number}, {key}": line.get(key, 0) for key in ("step", "epoch")}
        per_cent[f"metrics.jsonl line {number}, score"] = line["score"]
    wrong = [(name, value, "0 or more") for name, value in counts.items() if value < 0]
    wrong += [(name, value, "from 0 to 100") for name, value in per_cent.items() if not 0 <= value <= 100]
    wrong += [] if record.history else [("metrics.jsonl", "empty", "a line an evaluation")]
    for name, values in (("predictions", record.predictions), ("credits", record.credits)):
        if values is not None and len(values) != result["data"]["report"]:
            wrong.append((name, f"{len(values)} long", f"{result['data']['report']} long, one an example"))
    wrong += [("credits", credit, "from 0 to 1") for credit in record.credits or () if not 0 <= credit <= 1]
    for name, value, wanted in wrong[:1]:
        raise RecordError(f"Record {record.folder}: field {name} should be {wanted}, is {value}; {REMEDY}.")


def check_config(config: Any, path: Path) -> None:
    """Refuse a configuration whose groups are no mappings, or that lacks a key or has a value of the wrong type. One
    that came later than the record may be missing.

    Raises:
        RecordError: naming the key.
    """
    _check(config, dict, "of the configuration", path)
    _check_settings(config, Config, "", path)


def _check_settings(values: dict[str, Any], cls: Any, before: str, path: Path) -> None:
    for name, kind, at_once, is_group, is_needed in _settings_of(cls):
        if name in values and type(values[name]) in at_once:
            continue
        if is_group:
            group = values.get(name, {})
            _check(group, dict, before + name, path)
            _check_settings(group, kind, f"{name}.", path)
        elif name in values or is_needed:
            _check(values.get(name), kind, before + name, path)


@cache
def _settings_of(cls: Any) -> list[tuple[str, Any, frozenset[type], bool, bool]]:
    """Of each field of a configuration's class: name, type, the types that are right at once, whether it is a group,
    whether it must be there."""
    fields = zip(dataclasses.fields(cls), _fields(cls).values(), strict=True)
    return [
        (field.name, kind, at_once, dataclasses.is_dataclass(kind), field.default == MISSING)
        for field, (kind, at_once) in fields
    ]


@cache
def _metrics_of(task: str, family: str, protocol: str) -> tuple[str, ...]:
    """The metrics that the scores of a run must have: its task's, but for the headline of the other protocol alone."""
    if task not in TASKS:
        return ("score",)
    given = get_task(task, family)
    headlines = {"paper": set(given.paper_score), "superglue": set(given.superglue_score)}
    own = headlines.pop(protocol, set())
    return tuple(sorted({"score", *own, *(set(given.metrics) - set().union(*headlines.values()))}))


def _check(value: Any, kind: Any, name: str, path: Path) -> None:
    """Raise RecordError if a value of JSON is not of the kind; its parts are checked likewise."""
    container, of_parts = _parts_of(kind)
    if container is None or not isinstance(value, container):
        if not (_is_of(type(value), kind) and (type(value) is not float or math.isfinite(value))):
            wanted = " or ".join(KINDS.get(one, getattr(one, "__name__", "")) for one in _plain_types(kind))
            raise RecordError(f"Record {path}: field {name} should be {wanted}, is {value!r:.80}; {REMEDY}.")
    elif of_parts is None:
        before = name if name.endswith(" ") or not name else f"{name}."
        for key, (of, at_once) in _fields(kind).items():
            if key in value and type(value[key]) in at_once:
                continue
            if key in value or key in kind.__required_keys__:
                _check(value.get(key), of, before + key, path)
    elif container is dict:
        at_once = _right_at_once(of_parts)
        for key, inner in value.items():
            if type(inner) not in at_once:
                _check(inner, of_parts, f"{name}.{key}", path)
    else:
        types_there = set(map(type, value))
        if any(not _is_of(one, of_parts) for one in types_there) or not _finite(value, types_there):
            for number, inner in enumerate(value):
                _check(inner, of_parts, f"{name}[{number}]", path)


@cache
def _parts_of(kind: Any) -> tuple[Any, Any]:
    """dict or list and the kind of its parts, which are a TypedDict's own; None of a kind without parts."""
    if is_typeddict(kind):
        return dict, None
    return (get_origin(kind), get_args(kind)[-1]) if get_origin(kind) in (dict, list) else (None, None)


def _is_of(there: type, kind: Any) -> bool:
    """Whether a value of that type can stand where the kind is wanted."""
    wanted = _plain_types(kind)
    if issubclass(there, bool):  # an int to Python
        return bool in wanted or object in wanted
    return issubclass(there, wanted) or (float in wanted and issubclass(there, int))


def _finite(values: list[Any], types_there: set[type]) -> bool:
    return not any(issubclass(one, float) for one in types_there) or all(
        math.isfinite(value) for value in values if isinstance(value, float)
    )


@cache
def _plain_types(kind: Any) -> tuple[type, ...]:
    if kind is Any:
        return (object,)
    if get_origin(kind) in (Union, types.UnionType):
        return tuple(of for one in get_args(kind) for of in _plain_types(one))
    return (dict,) if is_typeddict(kind) else (get_origin(kind) or kind,)


@cache
def _fields(kind: Any) -> dict[str, tuple[Any, frozenset[type]]]:
    """The type of each field, and what is right at once."""
    return {name: (of, _right_at_once(of)) for name, of in get_type_hints(kind).items()}


@cache
def _right_at_once(kind: Any) -> frozenset[type]:
    """The types of which every value is of the kind: those of most values, of which thousands are looked at."""
    return frozenset(one for one in (str, int, bool, types.NoneType) if _is_of(one, kind))
