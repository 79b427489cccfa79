"""The run records in this repository keep their identities: the same command finds them."""

import hashlib
import json
import re
from pathlib import Path

import pandas as pd

from rpt.config import settings
from rpt.records.published import find_published
from rpt.records.run_folder import RunFolder
from rpt.records.run_records import RunRecords
from tests.conftest import ROOT


def test_identities_of_published_runs_are_what_their_configurations_say():
    records = RunRecords(ROOT / "results")
    published = [record for record in records if find_published(record.folder)]
    for record in published:
        result = record.result
        identity = settings(record.config) | {
            "rows": result["data"]["fingerprint"],
            "weights": result["backbone_fingerprint"],
            "precision": result["precision"],
        }
        digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:8]
        assert result["id"].endswith(digest), record.folder
    lines = [path.read_text().count("\n") for path in ROOT.glob("results/runs/*/*.jsonl")]
    assert len(published) == sum(lines) > 0 and not records.problems


def test_pandas_reads_a_file_of_the_store_as_results_readme_says(monkeypatch):
    monkeypatch.chdir(ROOT)
    (code,) = re.findall(r"`(pd\.read_json\(.*?\))`", Path("results/README.md").read_text())
    runs = eval(code, {"pd": pd})
    records = [record for record in RunRecords(Path("results")) if record.folder.parts[2:4] == ("cb", "nano")]
    assert len(runs) == len(records) > 0
    by_id = runs.set_index(runs["result"].map(lambda result: (result["prompt"], result["id"])))
    for record in records:
        line = by_id.loc[[(record.result["prompt"], record.result["id"])]].iloc[0]
        for field in ("config", "result", "history", "predictions", "credits"):
            assert line[field] == getattr(record, field)


def test_a_published_run_is_finished_without_a_folder():
    record = next(iter(RunRecords(ROOT / "results")))
    folder = RunFolder(record.folder)
    assert not folder.folder.exists()
    assert folder.finished() == record.result and folder.config() == record.config and folder.read() == record
    path, number = folder.place.split(", line ")
    assert json.loads(Path(path).read_text().splitlines()[int(number) - 1])["result"]["id"] == record.folder.name
    assert RunFolder(record.folder.with_name("n10-lr0.3-seed0-00000000")).finished() is None
    assert RunFolder(record.folder.parents[1] / "none" / record.folder.name).finished() is None
    assert RunFolder(Path("/nothing")).finished() is None  # too near the root to be a run's folder
