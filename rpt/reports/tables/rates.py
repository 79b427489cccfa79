"""Which learning rates stand behind an experiment's tables and figures, where several were tried."""

from __future__ import annotations

from collections.abc import Iterable

from rpt.reports.captions import captioned, training
from rpt.reports.grid_results import GridResults, RateChoice
from rpt.reports.labels import label, rate
from rpt.reports.layouts import file_name, rates_name, title_of
from rpt.reports.tables.remarks import row_in_words
from rpt.reports.tables.table import Table, Text

CAPTION = (
    "Learning rates of {name}: for each row and task the one with the best held-out score, averaged over the seeds "
    "that every recorded rate of the task has, in every row; of equals the lowest. The reported score has no part in "
    "it. Edge: the lowest or the highest of its grid; a better one may lie beyond."
)


def rates_table(results: GridResults) -> Table:
    """The chosen rate of each row and task; the CSV has the held-out score of each rate."""
    name, scale = results.experiment.name, results.experiment.scale
    axes, tasks = results.row_axes(("backbone", "prompt")), results.experiment.axes["task"]
    by_row: dict[tuple[str, ...], dict[str, RateChoice]] = {}
    for choice in results.rates:
        by_row.setdefault(tuple(choice.at[key] for key in axes), {})[choice.at["task"]] = choice
    lines: list[list[Text]] = []
    records: list[dict[str, object]] = []
    for at in results.points(axes):
        of_row = by_row[tuple(at.values())]
        texts = [label(key, value) for key, value in at.items()]
        texts += [_in_words(of_row[task]) if task in of_row else "" for task in tasks]
        lines.append([Text(text) for text in texts])
        for task, choice in of_row.items():
            for tried in choice.asked:
                chosen = tried == choice.rate
                line: dict[str, object] = {"table": rates_name(name), "scale": scale, **at, "column": task}
                line |= {"rate": rate(tried), "held_out": choice.held_out.get(tried), "seeds": choice.seeds}
                line |= {"chosen": "yes" * chosen, "edge": "yes" * (chosen and choice.at_edge)}
                records.append(line)
    return Table(
        name=file_name(rates_name(name), scale),
        caption=captioned(CAPTION.format(name=title_of(name).lower()), scale),
        header=[*(label("axis", key) for key in axes), *(label("task", task) for task in tasks)],
        labels=len(axes),
        blocks=[lines],
        records=records,
        remarks=[_tried(results), *_of_heads(results), training(results)],
    )


def rate_warnings(results: GridResults) -> list[str]:
    """What limits the choice: rates at the edge, too few recorded, other numbers of rates for other rows."""
    chosen = [choice for choice in results.rates if choice.rate is not None]
    edge = sum(choice.at_edge for choice in chosen)
    found = [f"{edge} of the {len(chosen)} chosen rates lie at the edge of their grid."] * bool(edge)
    few: dict[str, list[RateChoice]] = {}
    for choice in results.rates:
        if 0 < len(choice.recorded) < len(choice.asked):
            few.setdefault(f"{len(choice.recorded)} of {len(choice.asked)}", []).append(choice)
    found += [f"Only {n} rates recorded: {_places(results, choices)}." for n, choices in few.items()]
    apart = [choice for choice in results.rates if choice.recorded and choice.rate is None]
    if apart:
        found.append(f"Left out, for no seed has a run at each recorded rate: {_places(results, apart)}.")
    if len({len(choice.asked) for choice in results.rates}) > 1:
        found.append("The grid has not the same number of rates for every row.")
    return found


def _tried(results: GridResults) -> str:
    """Which rates each method tries."""
    methods: dict[str, dict[str, None]] = {}
    for choice in results.rates:
        rates = ", ".join(map(rate, sorted(choice.asked, key=float)))
        methods.setdefault(rates, {})[label("prompt", choice.at["prompt"])] = None
    parts = [f"{', '.join(names)} {rates}" for rates, names in methods.items()]
    return f"Tried: {'; '.join(parts)}."


def _of_heads(results: GridResults) -> list[str]:
    """At which rate an encoder's head learns where that is not the row's own: beside a prompt, or weighing a cosine."""
    heads: dict[str, dict[str, dict[str, None]]] = {}  # whose, at which rate, on which tasks
    for config in results.experiment.jobs.values():
        if config.backbone.family == "bert" and config.head_has_own_lr:
            whose = "beside a prompt" if config.tunes_prompt else f"of {label('prompt', config.variant)}"
            by_rate = heads.setdefault(whose, {})
            by_rate.setdefault(rate(str(config.trainer.head_lr)), {})[label("task", config.task.name)] = None
    sentences = []
    for whose, by_rate in heads.items():
        alike = len(by_rate) == 1 and whose == "beside a prompt"  # on every task; other heads are those of some tasks
        parts = [*by_rate] if alike else [f"{of} ({', '.join(tasks)})" for of, tasks in by_rate.items()]
        sentences.append(f"The head {whose} learns at {', '.join(parts)}.")
    return sentences


def _in_words(choice: RateChoice) -> str:
    """The rate, and how many were tried where there are fewer than the grid has; empty where none is chosen."""
    if choice.rate is None:
        return ""
    few = f"{len(choice.recorded)} of {len(choice.asked)}" if len(choice.recorded) < len(choice.asked) else ""
    notes = ", ".join(filter(None, ("edge" if choice.at_edge else "", few)))
    return rate(choice.rate) + (f" ({notes})" if notes else "")


def _places(results: GridResults, choices: Iterable[RateChoice]) -> str:
    """The rows, each with its tasks."""
    rows: dict[str, list[str]] = {}
    for choice in choices:
        row = row_in_words({key: choice.at[key] for key in results.row_axes(("backbone", "prompt"))})
        rows.setdefault(row, []).append(label("task", choice.at["task"]))
    return "; ".join(f"{row} ({', '.join(tasks)})" for row, tasks in rows.items())
