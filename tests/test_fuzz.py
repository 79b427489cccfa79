"""Whatever is damaged in rows, records and settings: a line that names it, or all is as if it were not; never a
traceback. (Damaged entries of the cache: tests/data/test_cache.py.)"""

import copy
import json
import os
import shutil

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from rpt.config import as_dict, compose, is_name, run_id, to_config
from rpt.config.choices import known_keys
from rpt.config.mistakes import explained_mistakes
from rpt.data import miniature
from rpt.data.json_lines import read_json_lines
from rpt.data.rows import parse_rows
from rpt.errors import RecordError, UsageError
from rpt.inference.saved_run import open_saved_run
from rpt.records.published import publish
from rpt.records.run_folder import RunFolder
from rpt.records.run_records import RunRecords
from rpt.tasks import PROTOCOLS, TASKS, get_task
from rpt.training.sweep.preflight import check
from tests.records.test_run_folder import whole
from tests.reports.conftest import reseal

BIG = 10**20  # stands for a number of 5,000 digits, which Python would not write
COMPOSED = compose("train", ["backbone=nano", "data=mini", "tracking=none"])
ROWS = {name: miniature.rows(name, "val", 0)[:5] for name in TASKS}
ODD = st.sampled_from([
    None, True, -1, 0, 3, 2**40, BIG, 0.5, -0.5, 1e300, float("nan"), float("inf"), "", " ", "a", "x" * 400, "é",
    "\ud800", "\0", "../..", "/dev/null", "-1", "1e9", "${lr}", "???", "(", "<script>", [], [[]], ["a"], {}, {"a": {}},
    json.loads("[" * 200 + "]" * 200),
])  # fmt: skip


def fuzzed(examples):
    checks = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
    return settings(max_examples=examples, derandomize=True, database=None, suppress_health_check=checks)


def places_in(value, before=()):
    """Every place in nested lists and mappings, from the outside in."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, entry in inner:
        yield (*before, key)
        yield from places_in(entry, (*before, key))


def changed(data, value):
    """A copy in which one value is odd, or is gone."""
    value = copy.deepcopy(value)
    *parents, last = data.draw(st.sampled_from(list(places_in(value))))
    inner = value
    for key in parents:
        inner = inner[key]
    if data.draw(st.integers(0, 4)) == 0:
        del inner[last]
    else:
        inner[last] = data.draw(ODD)
    return value


def written(value):
    """As JSON, with numbers of any length."""
    return json.dumps(value).replace(str(BIG), "9" * 5000)


def damaged(data, content):
    """Bytes flipped, taken out or put in."""
    at = data.draw(st.integers(0, len(content) - 1))
    upto = at + data.draw(st.integers(0, 3))
    put = data.draw(st.one_of(st.binary(max_size=3), st.sampled_from([b"\xff\xfe", b"\x1f\x8b", b"[" * 2000, b"\0"])))
    return content[:at] + put + content[upto:]


@pytest.mark.parametrize("name", TASKS)
@fuzzed(30)
@given(st.data())
def test_rows(name, data):
    family = data.draw(st.sampled_from(["t5", "bert"]))
    task = get_task(name, family)
    if data.draw(st.booleans()):
        rows = [changed(data, row) if number == 1 else row for number, row in enumerate(ROWS[name])]
        content = "\n".join(map(written, rows)).encode("utf-8", "surrogatepass")
    else:
        content = damaged(data, "\n".join(map(json.dumps, ROWS[name])).encode())
    try:
        examples = parse_rows(task, "rows", read_json_lines(content, "rows"), labelled=True)
    except UsageError as error:
        assert str(error).startswith("rows") and "\n" not in str(error) and len(str(error)) < 400
        return
    for example in examples:  # what is accepted can be used
        for bound in (get_task(name, family, protocol) for protocol in PROTOCOLS):
            assert bound.source(example).encode() and isinstance(bound.targets(example), list)
        assert task.name == "wsc" or task.decisions(example)


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda _: None)  # no crash is waited for here


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return whole(tmp_path_factory.mktemp("whole")).folder


@fuzzed(80)
@given(st.data())
def test_records(finished, tmp_path, data):
    folder = tmp_path / "runs" / "cb" / "nano" / "vanilla" / "x"
    shutil.rmtree(tmp_path / "runs", ignore_errors=True)
    shutil.copytree(finished, folder)
    path = folder / data.draw(st.sampled_from(["result.json", "config.yaml", "metrics.jsonl", "predictions.json"]))
    before = path.read_bytes()
    if path.suffix == ".json" and data.draw(st.booleans()):
        path.write_text(written(changed(data, json.loads(before))))
    else:
        path.write_bytes(damaged(data, before))
    resealed = path.name != "result.json" and data.draw(st.booleans())
    if resealed:
        reseal(folder)
    records = RunRecords(tmp_path)
    assert len(list(records)) + len(records.problems) == 1
    if path.name != "result.json" and not resealed and path.read_bytes() != before:
        assert records.problems
    for record in records if path.name == "result.json" else ():
        assert record.result == json.loads(before)
    assert all("\n" not in problem for problem in records.problems)


@fuzzed(80)
@given(st.data())
def test_published_records(finished, tmp_path, data):
    path = tmp_path / "runs" / "cb" / "nano.jsonl"
    path.unlink(missing_ok=True)
    publish([RunFolder(finished).read()], tmp_path)
    line = path.read_bytes().strip()
    changed_line = written(changed(data, json.loads(line))).encode("utf-8", "surrogatepass")
    line = changed_line if data.draw(st.booleans()) else damaged(data, line)
    path.write_bytes(line + b"\n")
    records = RunRecords(tmp_path)
    assert len(list(records)) + len(records.problems) == 1 + line.count(b"\n")
    assert all("\n" not in problem for problem in records.problems)


@fuzzed(40)
@given(st.data())
def test_settings_of_a_record(finished, tmp_path, data):
    folder = tmp_path / "x"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(finished, folder)
    stored = yaml.safe_load((folder / "config.yaml").read_text())
    (folder / "config.yaml").write_text(written(changed(data, stored)))
    reseal(folder)
    with pytest.raises((UsageError, RecordError)):  # there is no prompt in it, whatever the settings
        open_saved_run(folder)


@fuzzed(80)
@given(st.data())
def test_settings(tmp_path, monkeypatch, data):
    monkeypatch.chdir(tmp_path)
    cfg = copy.deepcopy(COMPOSED)
    key, value = data.draw(st.sampled_from(known_keys())), data.draw(ODD)
    try:
        with explained_mistakes():
            OmegaConf.update(cfg, key, value, force_add=True)
            config = to_config(cfg)
            check(config)
    except UsageError as error:
        assert str(error)
        return
    assert is_name(run_id(config, "r", "w", "fp32").replace("+", "")) and yaml.safe_dump(as_dict(config))
    assert RunFolder(tmp_path / config.task.name / config.backbone.name / config.variant).folder.parents[2] == tmp_path
