"""Which of the paper's claims show in the records, by one stated rule."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rpt.reports.cells import Cell, Metrics, average, combined
from rpt.reports.figures import CURVES
from rpt.reports.grid_results import GridResults
from rpt.reports.paper import Paper
from rpt.reports.tables import LAYOUTS, covers, signed, title

RULE = (
    "Rule: the two numbers are means over seeds of the quantity named. *Shows*: the first is larger, as the paper "
    "says, by more than the larger of their two standard deviations. *Within the spread*: the difference is no larger "
    "than that. *Does not show*: it is larger, the other way round. Of the seeds, those count that have every run."
)
METRICS: dict[str, Metrics] = {layout.experiment: layout.metrics for layout in LAYOUTS} | {
    curves.name: curves.metrics or {} for curves in CURVES
}


@dataclass(frozen=True)
class Claim:
    """One claim: what it says, the experiment that it stands on, and the two numbers, the larger first.

    paper: the paper's two numbers for the study's tasks, if it gives them, from the study and its backbone.
    """

    text: str
    experiment: str
    numbers: Callable[[GridResults, dict[str, str]], tuple[Cell, Cell]]
    paper: Callable[[Paper, GridResults, str], tuple[float, float] | None] = lambda paper, study, backbone: None


def _score(study: GridResults, values: dict[str, str]) -> Cell:
    return average(study, values, METRICS[study.experiment.name])


def _prompts(first: str, second: str, **axes: Callable[[Sequence[str]], str]) -> Callable:
    """The averages of two prompts; axes: which value of a further axis to look at."""

    def numbers(study: GridResults, at: dict[str, str]) -> tuple[Cell, Cell]:
        keys = {key.replace("_", "."): choose for key, choose in axes.items()}
        at = at | {key: choose(study.experiment.axes[key]) for key, choose in keys.items()}
        return _score(study, at | {"prompt": first}), _score(study, at | {"prompt": second})

    return numbers


def _range(axis: str) -> Callable:
    """How far the average moves along an axis, from its lowest to its highest: of plain, then of residual."""

    def of(study: GridResults, at: dict[str, str]) -> Cell:
        cells = [_score(study, at | {axis: value}) for value in study.experiment.axes[axis]]
        return combined(cells, how=lambda scores: max(scores) - min(scores))

    return lambda study, at: (of(study, at | {"prompt": "vanilla"}), of(study, at | {"prompt": "residual"}))


def _settings(axis: str, first: str, second: str) -> Callable:
    return lambda study, at: (
        _score(study, at | {"prompt": "residual", axis: first}),
        _score(study, at | {"prompt": "residual", axis: second}),
    )


def _width(study: GridResults, backbone: str) -> tuple[str, str, str, str, str, str]:
    """Whether the bottleneck's width moves the average less than the seed does: a line of `check_claims`."""
    axis = "prompt.bottleneck"
    at = {"backbone": backbone, "prompt": "residual"}
    cells = [_score(study, at | {axis: width}) for width in study.experiment.axes[axis]]
    numbers, said = "", "not recorded"
    if all(cell.mean is not None for cell in cells):
        said = "too few seeds to say"
    if all(cell.sd is not None for cell in cells):
        by_width, by_seed = statistics.stdev(cell.mean for cell in cells), statistics.fmean(cell.sd for cell in cells)
        numbers, said = f"{by_width:.1f} against {by_seed:.1f}", "shows" if by_width <= by_seed else "does not show"
    text = "The bottleneck's width matters no more than the seed (standard deviation over widths, over seeds)"
    return text, study.experiment.name, title(backbone), numbers, "", said


def _speed(study: GridResults, at: dict[str, str]) -> tuple[Cell, Cell]:
    """The validation score averaged over a run's evaluations (and tasks): the sooner it rises, the higher.

    One evaluation says nothing of speed: a run with no more counts as none.
    """

    def of(prompt: str) -> Cell:
        tasks, by_seed = study.experiment.axes["task"], defaultdict(list)
        for task in tasks:
            for seed, entry in study.at(at | {"task": task, "prompt": prompt}).items():
                if len(entry.history) > 1:
                    by_seed[seed].append(statistics.fmean(line["score"] for line in entry.history))
        means = {seed: statistics.fmean(of) for seed, of in by_seed.items() if len(of) == len(tasks)}
        return Cell(means, len(study.experiment.axes["seed"]))

    return of("residual"), of("vanilla")


def _least(values: Sequence[str]) -> str:
    return min(values, key=float)


def _printed(table: str, first: str, second: str) -> Callable:
    """The paper's averages of two rows, for its own backbone or the one that a miniature stands for."""

    def of(paper: Paper, study: GridResults, backbone: str) -> tuple[float, float] | None:
        if not covers(study, paper, table):
            return None  # they are over other tasks
        name = paper.backbone_beside(table, backbone)
        return paper.value(table, name, first, "average"), paper.value(table, name, second, "average")

    return of


def _printed_range(paper: Paper, study: GridResults, backbone: str) -> tuple[float, float] | None:
    inits = [_printed("table4", *(f"{prompt}-{init}" for prompt in ("pt", "rpt"))) for init in ("random", "vocab")]
    scores = [of(paper, study, backbone) for of in inits]
    return None if None in scores else tuple(max(of) - min(of) for of in zip(*scores, strict=True))


def _digitised(paper: Paper, study: GridResults, prompt: str) -> list[float]:
    """A figure's curve, averaged over the study's tasks; nothing if it lacks one of them.

    Its own panel of averages is over tasks that it does not name.
    """
    curves = [paper.curve(study.experiment.name, task, prompt)[1] for task in study.experiment.axes["task"]]
    return [statistics.fmean(scores) for scores in zip(*curves, strict=True)] if all(curves) else []


def _digitised_range(paper: Paper, study: GridResults, backbone: str) -> tuple[float, float] | None:
    curves = [_digitised(paper, study, prompt) for prompt in ("vanilla", "residual")]
    return tuple(max(curve) - min(curve) for curve in curves) if all(curves) else None


def _digitised_first(paper: Paper, study: GridResults, backbone: str) -> tuple[float, float] | None:
    curves = [_digitised(paper, study, prompt) for prompt in ("residual", "vanilla")]
    return tuple(curve[0] for curve in curves) if all(curves) else None


CLAIMS = (
    Claim("Residual PT beats PT on average", "table1", _prompts("residual", "vanilla"),
          _printed("table1", "rpt", "pt")),
    Claim("Residual PT beats PT w/ MLP on average", "table1", _prompts("residual", "mlp"),
          _printed("table1", "rpt", "pt-mlp")),
    Claim("Residual PT beats PT w/ LSTM on average", "table1", _prompts("residual", "lstm"),
          _printed("table1", "rpt", "pt-lstm")),
    Claim("Residual PT learns faster than PT (score averaged over two evaluations or more)", "figure3", _speed),
    Claim("PT moves more than Residual PT with the learning rate (highest minus lowest average)", "figure4",
          _range("lr"), _digitised_range),
    Claim("PT moves more than Residual PT with the initialisation (highest minus lowest average)", "table4",
          _range("prompt.init"), _printed_range),
    Claim("Residual PT beats PT with the shortest prompt", "table5",
          _prompts("residual", "vanilla", prompt_length=_least), _printed("table5", "2-rpt", "2-pt")),
    Claim("Residual PT beats PT with the fewest training rows", "figure5",
          _prompts("residual", "vanilla", data_shots=_least), _digitised_first),
    Claim("A network per token beats a shared one", "table6", _settings("prompt.shared", "False", "True"),
          _printed("table6", "rpt-separate", "rpt-shared")),
)  # fmt: skip


def verdict(larger: Cell, smaller: Cell) -> str:
    """By RULE; says so where there are too few seeds for a spread."""
    if larger.mean is None or smaller.mean is None:
        return "not recorded"
    if larger.sd is None or smaller.sd is None:
        return "too few seeds to say"
    gap, spread = larger.mean - smaller.mean, max(larger.sd, smaller.sd)
    return "within the spread" if abs(gap) <= spread else "shows" if gap > 0 else "does not show"


def check_claims(studies: list[GridResults], paper: Paper) -> list[tuple[str, str, str, str, str, str]]:
    """Lines of: the claim, its experiment, backbone, our numbers, the paper's difference, the verdict."""
    by_name, lines = {study.experiment.name: study for study in studies}, []
    for claim in (claim for claim in CLAIMS if claim.experiment in by_name):
        study = by_name[claim.experiment]
        for backbone in study.experiment.axes["backbone"]:
            larger, smaller = claim.numbers(study, {"backbone": backbone})
            theirs = claim.paper(paper, study, backbone)
            about = "" if theirs is None else signed(theirs[0] - theirs[1])
            if about and claim.experiment.startswith("figure"):
                about = f"about {about}"
            words = (claim.text, claim.experiment, title(backbone), _numbers(larger, smaller), about)
            lines.append((*words, verdict(larger, smaller)))
    if study := by_name.get("figure6"):
        lines += [_width(study, backbone) for backbone in study.experiment.axes["backbone"]]
    return lines


def _numbers(larger: Cell, smaller: Cell) -> str:
    if larger.mean is None or smaller.mean is None:
        return ""
    shown = [f"{one.mean:.1f}" + ("" if one.sd is None else f" ± {one.sd:.1f}") for one in (larger, smaller)]
    seeds = f"n = {larger.n}" if larger.n == smaller.n else f"n = {larger.n} and {smaller.n}"
    return f"{shown[0]} against {shown[1]} ({seeds})"
