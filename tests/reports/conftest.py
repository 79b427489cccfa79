"""Synthetic records on the real grids: deterministic scores, no training."""

import dataclasses
import json
import os
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import yaml

from rpt.config import Config, as_dict
from rpt.config.grids import Experiment, Grids
from rpt.data import task_for
from rpt.records.run_folder import RunFolder
from rpt.records.run_records import RunRecords
from rpt.reports import figures
from rpt.reports.frame import to_frame
from rpt.reports.grid_results import GridResults

GAIN = {"vanilla": 0.0, "mlp": -3.0, "lstm": -20.0, "residual": 4.0}  # of any other method: 6
EXAMPLES = 120


open_grids = cache(Grids)  # once for each scale


@cache
def grid(name: str, scale: str = "mini") -> Experiment:
    return open_grids(scale).lay_out(name)


def fake_score(config: Config, metric: str) -> float:
    """A score between 5 and 95 that depends on everything a run is about, and on the prompt most."""
    what = f"{config.task.name} {config.backbone.name} {metric}"
    base = 45 + zlib.crc32(what.encode()) % 2500 / 100
    drop = 6 if config.prompt.name == "vanilla" else 1.5
    base -= drop * abs(np.log10(config.lr / 0.3)) + 10 / (config.data.shots or 1e9)
    noise = zlib.crc32(repr(dataclasses.astuple(config)).encode()) % 300 / 100
    return float(np.clip(base + GAIN.get(config.variant, 6.0) + noise, 5, 95))


def write_record(results: Path, config: Config, **changes) -> Path:
    """A finished record of the configuration, as a run would leave it; returns its folder."""
    task, prompt = task_for(config), config.prompt
    name = f"n{prompt.length}-seed{config.seed}-{zlib.crc32(repr(dataclasses.astuple(config)).encode()):08x}"
    record = RunFolder(results / "runs" / config.task.name / config.backbone.name / config.variant / name)
    scores = {metric: fake_score(config, metric) for metric in task.metrics}
    scores["score"] = float(np.mean([scores[metric] for metric in task.paper_score]))
    record.write_config(yaml.dump(as_dict(config), Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper)))
    lines = []
    for epoch in range(1, 21):
        share = 1 - np.exp(-epoch / (4 if prompt.name == "residual" else 8))
        loss = 2.0 * np.exp(-epoch / 8) + 0.1
        lines.append({"step": epoch * 10, "epoch": float(epoch), "loss": loss, "score": scores["score"] * share})
    record.write_metrics(lines)
    rng = np.random.default_rng(config.seed)
    record.write_predictions([0] * EXAMPLES, list((rng.random(EXAMPLES) < scores["score"] / 100).astype(float)))
    width = 256 if config.backbone.name.startswith("nano") else 768
    result = {
        "status": "finished", "id": name, "task": config.task.name, "backbone": config.backbone.name,
        "prompt": config.variant, "protocol": config.protocol.name,
        "data": {"name": config.data.name, "miniature": config.data.name == "mini",
                 "fingerprint": f"{config.task.name}-{config.data.shots}-{config.backbone.family}", "train": 100,
                 "select": EXAMPLES, "report": EXAMPLES},
        "scores": scores, "majority": dict.fromkeys(scores, 48.0),
        "best": {"step": 200, "select_score": fake_score(config, "held out")},
        "parameters": {"trained": prompt.length * width + 1000 * (prompt.name != "vanilla"),
                       "kept": prompt.length * width, "frozen": 5_000_000},
        "seconds": 90.0, "backbone_fingerprint": config.backbone.name, "device": "CPU, 2 threads", "precision": "fp32",
        "trained_rows": 1000, "evaluations": 20, "rows_per_second": {"train": 11.1, "evaluate": 100.0},
        "peak_memory_bytes": 2**30, "versions": {}, "commit": "0123456789abcdef",
        "created": "2026-11-23T12:00:00+00:00",
    }  # fmt: skip
    record.write_result(result | changes)
    return record.folder


def reseal(folder: Path, **changes) -> None:
    """Make a record whose files were changed whole again: with their digests."""
    record = RunFolder(folder)
    record.write_result(json.loads(record.result_path.read_text()) | changes)


@pytest.fixture
def recorded(tmp_path, monkeypatch) -> Callable[..., Path]:
    """recorded("table1", scale, keep=...): write the records of an experiment; the folder of results."""
    monkeypatch.setattr(os, "fsync", lambda _: None)  # hundreds of files that no crash has to survive

    def write(name: str, scale: str = "mini", keep: Callable[[Config], bool] = lambda config: True) -> Path:
        for config in grid(name, scale).jobs.values():
            if keep(config):
                write_record(tmp_path, config)
        return tmp_path

    return write


@pytest.fixture
def study(recorded) -> Callable[..., GridResults]:
    """study("table1", ...): the same, read back."""

    def read(name: str, scale: str = "mini", **keep) -> GridResults:
        return GridResults.join(grid(name, scale), to_frame(RunRecords(recorded(name, scale, **keep))))

    return read


@pytest.fixture
def drawn(monkeypatch):
    """The figures that are drawn, for a look at their axes."""
    looked_at = []
    image_of = figures.image_of

    def image_of_and_keep(figure, kind):
        if figure not in looked_at:
            looked_at.append(figure)
        return image_of(figure, kind)

    monkeypatch.setattr(figures, "image_of", image_of_and_keep)
    return looked_at
