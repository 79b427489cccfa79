"""Learning rates tried and chosen: those behind an experiment's tables and figures, where several were tried."""

from __future__ import annotations

import pandas as pd

from rpt.reports.grid_results import At, GridResults
from rpt.reports.labels import label, rate
from rpt.reports.layouts import title_of
from rpt.reports.table import Table, make_table


def rates_table(results: GridResults, rates: pd.DataFrame) -> Table:
    """The chosen rate of each row and task; the CSV has the held-out score of each rate."""
    name, axes, lines, records = results.experiment.name, results.row_axes(("backbone", "prompt")), [], []
    by_row = dict(list(rates.groupby(list(axes))))
    for at in [at for at in results.points(axes) if tuple(at.values()) in by_row]:
        tried = by_row[tuple(at.values())]
        if tried["recorded"].any():
            lines.append((at, [_shown(tried[tried["task"] == task]) for task in results.tasks]))
        records += [
            {**at, "column": line["task"], "rate": rate(line["lr"]), "held_out": line["held_out"]}
            | {"seeds": line["seeds"], "chosen": "yes" * line["chosen"], "edge": "yes" * line["edge"] * line["chosen"]}
            for _, of_task in tried.groupby("task", sort=False)
            for line in of_task.to_dict("records")
        ]
    columns = [label("task", task) for task in results.tasks]
    facts = {"experiment": title_of(name).lower(), "tried": _tried(rates), "heads": _heads(results)}
    return make_table(f"{name}-rates", "rates", results, axes, columns, [lines], records, facts, in_report=False)


def limits(results: GridResults) -> dict[str, object]:
    """Find what limits the choice: rates at the edge, rates not recorded, unequal numbers of rates."""
    if results.rates is None:
        return {"chosen": 0, "edge": 0, "few": [], "apart": [], "uneven": False}
    row = [key for key in results.experiment.axes if key != "seed"]
    of_row = results.rates.groupby(row, sort=False)
    counts = of_row.agg(asked=("lr", "count"), recorded=("recorded", "sum"), chosen=("chosen", "any")).reset_index()
    tried = counts[counts["recorded"] > 0]
    few = tried[tried["recorded"] < tried["asked"]].groupby(["recorded", "asked"], sort=False)
    return {
        "chosen": int(results.rates["chosen"].sum()),
        "edge": int((results.rates["chosen"] & results.rates["edge"]).sum()),
        "few": [(*numbers, _places(results, lines)) for numbers, lines in few],
        "apart": _places(results, tried[~tried["chosen"]]),
        "uneven": counts["asked"].nunique() > 1,
    }


def _tried(rates: pd.DataFrame) -> dict[str, list[str]]:
    """Find the methods that try each list of rates; they are named with the backbone if it decides."""
    by_row = rates.groupby(["backbone", "prompt", "task"], sort=False)["lr"]
    listed = by_row.agg(lambda rates: ", ".join(map(rate, sorted(set(rates), key=float)))).rename("rates").reset_index()
    methods: dict[str, list[str]] = {}
    for prompt, of_prompt in listed.groupby("prompt", sort=False):
        for text, backbones in of_prompt.groupby("rates", sort=False)["backbone"]:
            names = " and ".join(sorted({label("backbone", backbone) for backbone in backbones}))
            name = [names] * (of_prompt["rates"].nunique() > 1) + [label("prompt", prompt)]
            methods.setdefault(text, []).append(" ".join(name))
    return methods


def _heads(results: GridResults) -> dict[str, dict[str, list[str]]]:
    """Find tasks on which an encoder's head has its own rate: by method ("" for a prompt) and rate."""
    heads: dict[str, dict[str, list[str]]] = {}
    for config in results.configs:
        if config.backbone.family == "bert" and config.head_has_own_lr:
            by_rate = heads.setdefault("" if config.tunes_prompt else label("prompt", config.variant), {})
            tasks, task = by_rate.setdefault(rate(str(config.trainer.head_lr)), []), label("task", config.task.name)
            tasks += [task] if task not in tasks else []
    return heads


def _shown(rates: pd.DataFrame) -> str:
    """The chosen rate, and how many were tried if the grid has more; empty if none is chosen."""
    chosen, recorded = rates[rates["chosen"]].to_dict("records"), int(rates["recorded"].sum())  # one at most
    if not chosen:
        return ""
    notes = ["edge"] * chosen[0]["edge"] + [f"{recorded} of {len(rates)}"] * (recorded < len(rates))
    return rate(chosen[0]["lr"]) + (f" ({', '.join(notes)})" if notes else "")


def _places(results: GridResults, lines: pd.DataFrame) -> list[tuple[At, list[str]]]:
    """The rows of these lines, each with its tasks."""
    axes = list(results.row_axes(("backbone", "prompt")))
    return [(dict(zip(axes, row, strict=True)), [*tasks]) for row, tasks in lines.groupby(axes, sort=False)["task"]]
