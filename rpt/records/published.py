"""The published store. The records that a repository shares, one line of plain JSON a run.

`<results>/runs/<task>/<backbone>.jsonl` holds the runs whose folders would lie in `<results>/runs/<task>/<backbone>/`,
sorted by prompt and id. A line has the fields of rpt.records.schema.RunRecord and their digest. Nothing is rounded.
Left out are the trained tensors, the digests of a folder's files, and the folders of the machine that trained (PLACES).
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from rpt.config.schema import merge
from rpt.errors import RecordError
from rpt.files import write_atomically
from rpt.records.checks import check_digest, check_record, digest_of, one_line_refusal
from rpt.records.schema import RunRecord

PLACES = ("data.dir", "data.cache", "backbone.path", "tracking.dir", "results")  # of the configuration
REMEDY = "restore the file, or publish its runs again"


def find_published(folder: Path) -> RunRecord | None:
    """The published record of the run whose folder this is or would be; None if it is not published.

    Raises:
        RecordError: its line is damaged.
    """
    parents = (folder if len(folder.parts) > 2 else folder.absolute()).parents
    if len(parents) < 2:  # /tmp is no run's folder
        return None
    path = parents[1].with_name(f"{parents[1].name}.jsonl")
    for record in read_published(path, json.dumps(folder.name)) if os.path.isfile(path) else ():
        if isinstance(record, RecordError):
            raise record
        if record.folder.parts[-2:] == folder.parts[-2:]:
            return record
    return None


def read_published(path: Path, holding: str = "") -> Iterator[RunRecord | RecordError]:
    """Every record of a file of the store, and for a damaged line, or a second one of a run, the error that names it.

    Args:
        holding: reads only lines with this text, for parsing every line takes a hundred times as long.
    """
    try:
        with one_line_refusal(path, REMEDY):
            lines = path.read_bytes().splitlines()
        if lines and lines[0].startswith(b'{"format"'):
            raise RecordError(f"{path} is packed as older versions did; delete it and publish its runs again.")
    except RecordError as error:
        yield error
        return
    read: dict[Path, str] = {}
    for number, line in enumerate(lines, start=1):
        try:
            if holding.encode() not in line:
                continue
            record = _parse_line(path, number, line)
            if (first := read.setdefault(record.folder, record.line)) != record.line:
                raise RecordError(f"{record.line} is a second record of the run of {first}; delete one of the two.")
            yield record
        except RecordError as error:
            yield error


def publish(records: list[RunRecord], results: Path) -> list[Path]:
    """Put records into the store below `results`, where they replace those of the same runs; returns the files written.

    Raises:
        RecordError: a file of the store is damaged; then nothing is written.
    """
    new_by_path: dict[Path, list[RunRecord]] = defaultdict(list)
    for record in records:
        new_by_path[results / "runs" / record.result["task"] / f"{record.result['backbone']}.jsonl"].append(record)
    contents = {}
    for path, new in new_by_path.items():
        lines = {}
        for record in [*(read_published(path) if path.exists() else ()), *new]:
            if isinstance(record, RecordError):
                raise record
            lines[record.result["prompt"], record.result["id"]] = _to_line(record)
        contents[path] = "".join(line for _, line in sorted(lines.items())).encode()
    for path, content in contents.items():
        write_atomically(path, content)
    return list(contents)


def _parse_line(path: Path, number: int, line: bytes) -> RunRecord:
    name = f"{path}, line {number}"
    with one_line_refusal(name, REMEDY):
        fields = json.loads(line.decode())
        check_digest(name, fields.pop("digest", None), digest_of(fields), REMEDY)
        place = (fields["result"][key] for key in ("task", "backbone", "prompt", "id"))
        record = RunRecord(path.parents[1].joinpath(*place), **fields, line=name)
        check_record(record)
        return record


def _to_line(record: RunRecord) -> str:
    config = merge(record.config, {})  # a copy
    for group, _, key in (place.rpartition(".") for place in PLACES):
        (config.get(group, {}) if group else config).pop(key, None)
    fields = {"config": config, **record.contents}
    return json.dumps({**fields, "digest": digest_of(fields)}, separators=(",", ":")) + "\n"
