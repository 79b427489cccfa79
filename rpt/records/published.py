"""The published store: the records that a repository shares, in few files whose changes can be read line by line.

`<results>/runs/<task>/<backbone>.jsonl` holds the runs whose folders would lie in `<results>/runs/<task>/<backbone>/`.
Its first line says once what most of them have in common; each further line is one run, sorted by prompt and id, with
what differs from it. Nothing is rounded and nothing is left out but the trained tensors and the folders of the machine
that trained (PLACES), which are nobody else's. Keys are dotted:
    config.prompt.length and the like, result.scores.score and the like
    history.loss and the like: a column of metrics.jsonl; one value where all of its lines have it, and the name of
        another column where the two are equal
    answers: a character for each reported row: the label that was predicted and right (0, 1, ...) or wrong (a for 0,
        b for 1, ...), or "-" for no label
    predictions, credits: instead, where an answer is a text or earns a part
"""

from __future__ import annotations

import json
import os
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rpt.errors import RecordError
from rpt.files import write_atomically
from rpt.records.checks import check_record, check_result
from rpt.records.schema import RunRecord, flatten

FORMAT = 1  # of the store's files
AS_IN_HISTORY = "as in history"  # instead of result.last where it is the last line of metrics.jsonl
ANSWERS = "0123456789abcdefghij-"  # right labels, wrong ones, and none
PLACES = ("data.dir", "data.cache", "backbone.path", "tracking.dir", "results")  # of the configuration
REMEDY = "restore the file, or publish its runs again"
Flat = dict[str, Any]


def find_published(folder: Path) -> RunRecord | None:
    """The published record of the run whose folder this is or would be; None if it is not published.

    Raises:
        RecordError: its line is damaged.
    """
    backbone = folder.absolute().parents[1]
    path = backbone.with_name(f"{backbone.name}.jsonl")
    if not os.path.isfile(path):
        return None
    for number, line, common in _lines(path):
        if line.startswith(f'{{"id":{json.dumps(folder.name)},'.encode()):
            record = _read_line(path, number, line, common)
            if record.result["prompt"] == folder.parent.name:
                return record
    return None


def read_published(path: Path) -> Iterator[RunRecord | RecordError]:
    """Every record of a file of the store; in place of a damaged one, the error that names it."""
    try:
        for number, line, common in _lines(path):
            try:
                yield _read_line(path, number, line, common)
            except RecordError as error:
                yield error
    except RecordError as error:
        yield error


def publish(records: list[RunRecord], results: Path) -> list[Path]:
    """Put records into the store below `results`, in place of those of the same runs; returns the files written.

    Raises:
        RecordError: a file of the store is damaged; nothing is written then.
    """
    by_path: dict[Path, dict[tuple[str, str], RunRecord]] = defaultdict(dict)
    for record in records:
        path = results / "runs" / record.result["task"] / f"{record.result['backbone']}.jsonl"
        by_path[path][record.result["prompt"], record.result["id"]] = record
    contents = {}
    for path, new in by_path.items():
        common, old = None, {}
        if path.exists():
            common = _without_places(_first_line(path))  # of a file that is older than this rule
            for read in read_published(path):
                if isinstance(read, RecordError):
                    raise read
                old[read.result["prompt"], read.result["id"]] = read
        flat = [_flatten_record(record) for _, record in sorted({**old, **new}.items())]
        if common is None:  # a first line that stays keeps the other lines as they are
            common = _common(flat)
        lines = [{"format": FORMAT, "common": common}, *(_difference(one, common) for one in flat)]
        contents[path] = "".join(_dump(line) + "\n" for line in lines).encode()
    for path, content in contents.items():
        write_atomically(path, content)
    return list(contents)


def _lines(path: Path) -> Iterator[tuple[int, bytes, Flat]]:
    """Number and text of every line that holds a run, with what is common to them."""
    common = _first_line(path)
    with path.open("rb") as file:  # each line is decoded by itself, so that a damaged one is named
        next(file)
        for number, line in enumerate(file, start=2):
            yield number, line, common


def _first_line(path: Path) -> Flat:
    try:
        with path.open(encoding="utf-8") as file:
            first = json.loads(file.readline())
        if first["format"] != FORMAT:
            raise RecordError(f"{path} has format {first['format']}, this version reads {FORMAT}; {REMEDY}.")
        return dict(first["common"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        if isinstance(error, RecordError):
            raise
        raise RecordError(f"{path}, line 1, cannot be read ({error}); {REMEDY}.") from error


def _read_line(path: Path, number: int, line: bytes, common: Flat) -> RunRecord:
    try:
        own = json.loads(line.decode())
        absent = set(own.pop("absent", ()))
        flat = {key: value for key, value in common.items() if key not in absent} | own
        record = _rebuild_record(flat, path.parents[1])
        check_result(record.result, record.folder)
        check_record(record)
        return record
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise RecordError(f"{path}, line {number}: {type(error).__name__}: {error} {REMEDY}.") from error


def _common(flat: list[Flat]) -> Flat:
    """What more than half of the runs have."""
    counts = Counter((key, _dump(value)) for one in flat for key, value in one.items() if key != "id")
    return {key: json.loads(value) for (key, value), n in counts.items() if n > max(1, len(flat) / 2)}


def _difference(flat: Flat, common: Flat) -> Flat:
    """What a run has of its own, its id first, and the names of the common fields that it lacks."""
    absent = [key for key in common if key not in flat]
    own = {key: value for key, value in flat.items() if key not in common or _dump(value) != _dump(common[key])}
    return {"id": flat["id"], **({"absent": absent} if absent else {}), **own}


def _flatten_record(record: RunRecord) -> Flat:
    result = dict(record.result)
    if record.history and _dump(result.get("last")) == _dump(record.history[-1]):  # 1 and 1.0 are not the same
        result["last"] = AS_IN_HISTORY
    parts = {"config": record.config, "result": result, "history": _columns(record.history)}
    answers = _answers(record)
    credits: Any = record.credits
    if credits and set(credits) <= {0.0, 1.0}:
        credits = "".join(str(int(credit)) for credit in credits)
    parts |= {"answers": answers} if answers else {"predictions": record.predictions, "credits": credits}
    parts = {key: value for key, value in parts.items() if value is not None}
    flat = _without_places(flatten(parts))
    return {"id": flat.pop("result.id"), **flat}


def _without_places(flat: Flat) -> Flat:
    return {key: value for key, value in flat.items() if key.removeprefix("config.") not in PLACES}


def _rebuild_record(flat: Flat, runs: Path) -> RunRecord:
    nested: dict[str, Any] = {}
    for key, value in flat.items():
        *parents, last = key.split(".")
        inner = nested
        for parent in parents:
            inner = inner.setdefault(parent, {})
        inner[last] = value
    result, history = {**nested["result"], "id": nested["id"]}, _history(nested["history"])
    if result.get("last") == AS_IN_HISTORY:
        result["last"] = history[-1]
    predictions, credits = nested.get("predictions"), nested.get("credits")
    if "answers" in nested:
        predictions = [None if answer == "-" else ANSWERS.index(answer) % 10 for answer in nested["answers"]]
        credits = [float(answer.isdigit()) for answer in nested["answers"]]
    elif isinstance(credits, str):
        credits = [float(credit) for credit in credits]
    folder = runs / result["task"] / result["backbone"] / result["prompt"] / result["id"]
    return RunRecord(folder, nested["config"], result, history, predictions, credits)


def _answers(record: RunRecord) -> str | None:
    """Predictions and credits in one character each; None where they are more than a label, right or wrong."""
    if not record.predictions or not record.credits or len(record.predictions) != len(record.credits):
        return None
    pairs: list[tuple[Any, float]] = list(zip(record.predictions, record.credits, strict=True))
    if not all(
        (label is None and credit == 0) or (type(label) is int and 0 <= label <= 9 and credit in (0, 1))
        for label, credit in pairs
    ):
        return None
    return "".join("-" if label is None else ANSWERS[label if credit else label + 10] for label, credit in pairs)


def _columns(history: list[dict[str, Any]]) -> Any:
    """The lines as columns, which are shorter; as they are where they have not all the same fields."""
    if not history or any(list(line) != list(history[0]) for line in history):
        return history
    columns: dict[str, Any] = {"lines": len(history)}
    for key in history[0]:
        values = [line[key] for line in history]
        if all(_dump(value) == _dump(values[0]) for value in values) and not isinstance(values[0], str):
            values = values[0]
        equal = next((k for k, of in columns.items() if isinstance(of, list) and _dump(of) == _dump(values)), None)
        columns[key] = equal or values
    return columns


def _history(columns: Any) -> list[dict[str, Any]]:
    """The lines again."""
    if isinstance(columns, list):
        return columns
    columns = dict(columns)
    n_lines = columns.pop("lines")
    columns = {key: columns[values] if isinstance(values, str) else values for key, values in columns.items()}
    columns = {key: values if isinstance(values, list) else [values] * n_lines for key, values in columns.items()}
    return [{key: values[i] for key, values in columns.items()} for i in range(n_lines)]


def _dump(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
