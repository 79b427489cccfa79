"""`load_runs`, records as a data frame."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd

from rpt.config.grids import Grids
from rpt.errors import UsageError
from rpt.records.run_records import RunRecords
from rpt.records.schema import flatten
from rpt.reports.grid_results import GridResults
from rpt.reports.rates import choose_rates

STREAM_SCALE = "backbone.stream_scale"  # a number or auto, so its column has texts


def load_runs(path: Path | str, experiment: str | None = None, scale: str = "paper") -> pd.DataFrame:
    """Every finished run below a folder, one row a run; rpt.records.schema says what the fields mean.

    Args:
        path: what results= was in training, a folder above it or a part of it.
        experiment, scale: give the runs behind a table or figure alone, as load_runs("results", "table1", "mini"), at
            the learning rates that it shows; their index has a level for each axis of the experiment.

    Columns:
        backbone.*, prompt.*, method.*, task.name, data.*, trainer.*, protocol.*, pack.*, lr, seed, ...: the
            configuration, by the keys that one types; backbone.stream_scale as text, for it may be auto
        id, created, task, backbone, prompt, protocol: the run; prompt is the method where it is no prompt tuning
        scores.*, majority.*: by metric, per cent; *.score is the protocol's headline
        best.*, last.*, steps, stopped, evaluations, no_label: how training went
        data.train, data.select, data.report, trained_rows: rows; data.miniature: whether our grammars made them
        parameters.trained, parameters.kept, parameters.frozen: counts
        seconds, rows_per_second.*, peak_memory_bytes, trained_together: time and memory
        data.fingerprint, backbone_fingerprint, precision, device, versions.*, commit: provenance
        history, credits: lists, as in metrics.jsonl and predictions.json; predictions: lists of the labels' indices,
            or, where answers are open, texts: lists of them
        folder: where the run lies, or lay before it was published; identity: equal for runs of equal settings
    A field that a record does not have is NaN or None. `frame.attrs["problems"]` has a line for each record that was
    left out, and why.

    Raises:
        UsageError: there is no such folder, no finished run below it, or none of such an experiment.
    """
    path = Path(os.path.expanduser(path))
    if not path.is_dir():
        raise UsageError(f"There is no folder {path}; give the one that results= was in training.")
    runs = to_frame(RunRecords(path).require())
    if experiment is None:
        return runs
    chosen = choose_rates(GridResults.join(Grids(scale).lay_out(experiment), runs)).runs
    if chosen.empty:
        raise UsageError(f"No run below {path} belongs to {experiment} at scale={scale}; give another scale.")
    return chosen


def to_frame(records: RunRecords) -> pd.DataFrame:
    """The same for records that are already read; empty if there are none."""
    rows = [
        flatten(record.config)
        | flatten(record.result)
        | {"history": record.history, "predictions": None, "texts": None, "credits": record.credits}
        | {_kind_of(record.predictions): record.predictions}
        | {"folder": str(record.folder), "identity": record.identity}
        for record in records
    ]
    runs = pd.DataFrame([{key: None if value == {} else value for key, value in row.items()} for row in rows])
    if STREAM_SCALE in runs:
        runs[STREAM_SCALE] = runs[STREAM_SCALE].map(str, na_action="ignore")
    runs.attrs["problems"] = records.problems
    return runs


def _kind_of(predictions: list[int | str | None] | None) -> str:
    """The column for them: in Parquet a column has one type."""
    return "texts" if any(isinstance(each, str) for each in predictions or ()) else "predictions"
