"""Learning rates tried and chosen: those behind an experiment's tables and figures, where several were tried."""

from __future__ import annotations

from typing import Any

import pandas as pd

from rpt.reports.grid_results import GridResults
from rpt.reports.labels import label, rate
from rpt.reports.layouts import rates_name, title_of
from rpt.reports.table import Line, Table, make_table

Places = list[tuple[dict[str, str], list[str]]]  # rows, each with its tasks


def rates_table(results: GridResults) -> Table:
    """The chosen rate of each row and task; the CSV has the held-out score of each rate."""
    name, tasks, axes = (
        results.experiment.name,
        results.experiment.axes["task"],
        results.row_axes(("backbone", "prompt")),
    )
    by_row = dict(list(results.rates.groupby(list(axes))))
    lines: list[Line] = []
    records = []
    for at in [at for at in results.points(axes) if tuple(at.values()) in by_row]:
        rates = by_row[tuple(at.values())]
        if rates["recorded"].any():
            lines.append((at, [_shown(rates[rates["task"] == task]) for task in tasks]))
        for task, tried in rates.groupby("task", sort=False):
            for line in tried.to_dict("records"):
                records.append(
                    {**at, "column": task, "rate": rate(line["lr"]), "held_out": line["held_out"]}
                    | {"seeds": line["seeds"], "chosen": "yes" * line["chosen"]}
                    | {"edge": "yes" * (line["chosen"] and line["edge"])}
                )
    columns = [label("task", task) for task in tasks]
    facts = {"experiment": title_of(name).lower(), "tried": _tried(results.rates), "heads": _heads(results)}
    return make_table(rates_name(name), "rates", results, axes, columns, [lines], records, facts, in_report=False)


def limits(results: GridResults) -> dict[str, Any]:
    """Limits of the choice: rates at the edge, rates not recorded, unequal numbers of rates."""
    if results.rates is None:
        return {"chosen": 0, "edge": 0, "few": [], "apart": [], "uneven": False}
    rates = results.rates.assign(at_edge=results.rates["chosen"] & results.rates["edge"])
    row = [key for key in results.experiment.axes if key != "seed"]
    of_row = rates.groupby(row, sort=False)
    counts = of_row.agg(asked=("lr", "count"), recorded=("recorded", "sum"), chosen=("chosen", "any")).reset_index()
    tried = counts[counts["recorded"] > 0]
    few = tried[tried["recorded"] < tried["asked"]].groupby(["recorded", "asked"], sort=False)
    return {
        "chosen": int(rates["chosen"].sum()),
        "edge": int(rates["at_edge"].sum()),
        "few": [(*numbers, _places(results, lines)) for numbers, lines in few],
        "apart": _places(results, tried[~tried["chosen"]]),
        "uneven": counts["asked"].nunique() > 1,
    }


def _tried(rates: pd.DataFrame) -> dict[str, list[str]]:
    """The methods that try each list of rates, with the backbone if it decides."""
    by_row = rates.groupby(["backbone", "prompt", "task"], sort=False)["lr"]
    listed = by_row.agg(lambda rates: ", ".join(map(rate, sorted(set(rates), key=float)))).rename("rates").reset_index()
    methods: dict[str, list[str]] = {}
    for prompt, of_prompt in listed.groupby("prompt", sort=False):
        by_rates = of_prompt.groupby("rates", sort=False)["backbone"]
        for text, backbones in by_rates:
            names = sorted({label("backbone", backbone) for backbone in backbones})
            name = [*[" and ".join(names)] * (len(by_rates) > 1), label("prompt", prompt)]
            methods.setdefault(text, []).append(" ".join(name))
    return methods


def _heads(results: GridResults) -> dict[str, dict[str, list[str]]]:
    """The tasks on which an encoder's head has another rate than its row, by method ("" for a prompt) and rate."""
    heads: dict[str, dict[str, dict[str, None]]] = {}
    for config in results.experiment.jobs.values():
        if config.backbone.family == "bert" and config.head_has_own_lr:
            by_rate = heads.setdefault("" if config.tunes_prompt else label("prompt", config.variant), {})
            by_rate.setdefault(rate(str(config.trainer.head_lr)), {})[label("task", config.task.name)] = None
    return {method: {lr: [*tasks] for lr, tasks in by_rate.items()} for method, by_rate in heads.items()}


def _shown(rates: pd.DataFrame) -> str:
    """The chosen rate, and how many were tried if the grid has more; empty if none is chosen."""
    if not rates["chosen"].any():
        return ""
    (chosen,), recorded = rates[rates["chosen"]].to_dict("records"), int(rates["recorded"].sum())
    notes = [*["edge"] * chosen["edge"], *[f"{recorded} of {len(rates)}"] * (recorded < len(rates))]
    return rate(chosen["lr"]) + (f" ({', '.join(notes)})" if notes else "")


def _places(results: GridResults, lines: pd.DataFrame) -> Places:
    axes = list(results.row_axes(("backbone", "prompt")))
    return [(dict(zip(axes, row, strict=True)), [*tasks]) for row, tasks in lines.groupby(axes, sort=False)["task"]]
