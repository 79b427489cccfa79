"""Rates tried and chosen."""

from __future__ import annotations

from typing import Any

from rpt.reports.grid_results import GridResults, RateChoice
from rpt.reports.labels import label, rate
from rpt.reports.layouts import rates_name, title_of
from rpt.reports.table import Table, make_table


def rates_table(results: GridResults) -> Table:
    """The chosen rate of each row and task; the CSV has the held-out score of each rate."""
    name, tasks = results.experiment.name, results.experiment.axes["task"]
    axes = results.row_axes(("backbone", "prompt"))
    by_row: dict[tuple[str, ...], dict[str, RateChoice]] = {}
    for choice in results.rates:
        by_row.setdefault(tuple(choice.at[key] for key in axes), {})[choice.at["task"]] = choice
    lines, records = [], []
    for at in results.points(axes):
        choices = by_row[tuple(at.values())]
        if any(choice.recorded for choice in choices.values()):
            shown = [_shown(choices[task]) if task in choices else "" for task in tasks]
            lines.append((at, shown))
        for task, choice in choices.items():
            for tried in choice.asked:
                chosen = tried == choice.rate
                records.append(
                    {**at, "column": task, "rate": rate(tried), "held_out": choice.held_out.get(tried)}
                    | {"seeds": choice.seeds, "chosen": "yes" * chosen, "edge": "yes" * (chosen and choice.at_edge)}
                )
    columns = [label("task", task) for task in tasks]
    facts = {"experiment": title_of(name).lower(), "tried": _tried(results), "heads": _heads(results)}
    return make_table(rates_name(name), "rates", results, axes, columns, [lines], records, facts, in_report=False)


def limits(results: GridResults) -> dict[str, Any]:
    """What limits the choice of rates: rates at the edge, too few recorded, other numbers of rates for other rows."""
    few: dict[tuple[int, int], list[RateChoice]] = {}
    for choice in results.rates:
        if 0 < len(choice.recorded) < len(choice.asked):
            few.setdefault((len(choice.recorded), len(choice.asked)), []).append(choice)
    apart = [choice for choice in results.rates if choice.recorded and choice.rate is None]
    return {
        "chosen": sum(choice.rate is not None for choice in results.rates),
        "edge": sum(choice.rate is not None and choice.at_edge for choice in results.rates),
        "few": [(*numbers, _places(results, choices)) for numbers, choices in few.items()],
        "apart": _places(results, apart),
        "uneven": len({len(choice.asked) for choice in results.rates}) > 1,
    }


def _tried(results: GridResults) -> dict[str, list[str]]:
    """By rates the methods that try them; with the backbone where it decides."""
    rates: dict[str, dict[str, set[str]]] = {}  # by method and rates, the backbones
    for choice in results.rates:
        listed = ", ".join(map(rate, sorted(choice.asked, key=float)))
        by_rates = rates.setdefault(label("prompt", choice.at["prompt"]), {})
        by_rates.setdefault(listed, set()).add(label("backbone", choice.at["backbone"]))
    methods: dict[str, list[str]] = {}
    for method, by_rates in rates.items():
        for listed, backbones in by_rates.items():
            name = method if len(by_rates) == 1 else f"{' and '.join(sorted(backbones))} {method}"
            methods.setdefault(listed, []).append(name)
    return methods


def _heads(results: GridResults) -> dict[str, dict[str, list[str]]]:
    """Where an encoder's head has a rate that is not its row's: by method ("" beside a prompt) and rate, the tasks."""
    heads: dict[str, dict[str, dict[str, None]]] = {}
    for config in results.experiment.jobs.values():
        if config.backbone.family == "bert" and config.head_has_own_lr:
            by_rate = heads.setdefault("" if config.tunes_prompt else label("prompt", config.variant), {})
            by_rate.setdefault(rate(str(config.trainer.head_lr)), {})[label("task", config.task.name)] = None
    return {method: {lr: [*tasks] for lr, tasks in by_rate.items()} for method, by_rate in heads.items()}


def _shown(choice: RateChoice) -> str:
    """The rate, and how many were tried where there are fewer than the grid has; empty where none is chosen."""
    if choice.rate is None:
        return ""
    few = f"{len(choice.recorded)} of {len(choice.asked)}" if len(choice.recorded) < len(choice.asked) else ""
    notes = ", ".join(filter(None, ("edge" if choice.at_edge else "", few)))
    return rate(choice.rate) + (f" ({notes})" if notes else "")


def _places(results: GridResults, choices: list[RateChoice]) -> list[tuple[dict[str, str], list[str]]]:
    """The rows, each with its tasks."""
    rows: dict[tuple[str, ...], list[str]] = {}
    axes = results.row_axes(("backbone", "prompt"))
    for choice in choices:
        rows.setdefault(tuple(choice.at[key] for key in axes), []).append(choice.at["task"])
    return [(dict(zip(axes, row, strict=True)), tasks) for row, tasks in rows.items()]
