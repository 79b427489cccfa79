"""The paper's claims: judged by the records of each scale; templates/claims.md.j2 writes the table."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field, replace
from typing import Literal

import pandas as pd

from rpt.reports.grid_results import GridResults, pick_cell
from rpt.reports.layouts import METRICS
from rpt.reports.paper import Paper, row_name
from rpt.reports.scores import Cell, task_scores
from rpt.reports.significance import Comparison, compare_tasks, credits_of

SCALES = ("laptop", "mini", "paper")  # columns of the claims, in this order
SHOWS, WITHIN, AGAINST = "shows", "within the spread", "does not show"
TOO_FEW, NONE = "too few seeds to say", "not recorded"

At = dict[str, str]  # values of axes
PLAIN, RESIDUAL, MLP, LSTM = ({"prompt": name} for name in ("vanilla", "residual", "mlp", "lstm"))


@dataclass(frozen=True)
class Claim:
    """A quantity is larger at one place of an experiment's grid than at another.

    measure: which quantity, by seed: the "average" over tasks; its "range" along the axis `along`; the "speed" of
        learning; the average credit of single "examples"; and for "width" the spread over widths against that of seeds.
    smallest: an axis whose smallest value alone counts. printed: whether the paper gives both numbers.
    """

    text: str
    experiment: str
    larger: At = field(default_factory=lambda: RESIDUAL)
    smaller: At = field(default_factory=lambda: PLAIN)
    measure: Literal["average", "range", "speed", "examples", "width"] = "average"
    along: str = ""
    smallest: str = ""
    printed: bool = True


CLAIMS = (
    Claim("Residual PT beats PT on average", "table1"),
    Claim("The same over examples, tasks weighted equally", "table1", measure="examples", printed=False),
    Claim("Residual PT beats PT w/ MLP on average", "table1", smaller=MLP),
    Claim("Residual PT beats PT w/ LSTM on average", "table1", smaller=LSTM),
    Claim("Residual PT learns faster than PT (mean score over shared evaluations)", "figure3", measure="speed",
          printed=False),
    Claim("PT moves more than Residual PT with the learning rate (highest minus lowest average)", "figure4",
          PLAIN, RESIDUAL, "range", along="lr"),
    Claim("PT moves more than Residual PT with the initialisation (highest minus lowest average)", "table4",
          PLAIN, RESIDUAL, "range", along="prompt.init"),
    Claim("Residual PT beats PT with the shortest prompt", "table5", smallest="prompt.length"),
    Claim("Residual PT beats PT with the fewest training rows", "figure5", smallest="data.shots"),
    Claim("A network per token beats a shared one", "table6",
          RESIDUAL | {"prompt.shared": "False"}, RESIDUAL | {"prompt.shared": "True"}),
    Claim("The bottleneck's width matters no more than the seed (standard deviation over widths, over seeds)",
          "figure6", measure="width", printed=False),
)  # fmt: skip


@dataclass(frozen=True)
class Judgement:
    """What our records say about a claim.

    larger, smaller: the two quantities; a claim over examples has a test instead. seeds: the fewer of the two.
    few: whether the grid has more seeds. backbone: which one's runs. without: tasks that are left out.
    """

    verdict: str = NONE
    larger: Cell = field(default_factory=Cell)
    smaller: Cell = field(default_factory=Cell)
    seeds: int = 0
    test: Comparison | None = None
    few: bool = False
    backbone: str = ""
    without: tuple[str, ...] = ()


@dataclass(frozen=True)
class Line:
    """A claim, what the records of each scale say, and the paper's difference by backbone."""

    claim: Claim
    judgements: dict[str, list[Judgement]]
    theirs: dict[str, float]


def check_claims(grids: list[GridResults], papers: list[GridResults], paper: Paper) -> list[Line]:
    """Every claim against the records.

    Args:
        grids: of all scales; a claim whose grid is missing at a scale is not recorded there.
        papers: the grids at the paper's scale, recorded or not, for the backbones and tasks of the paper's numbers.
    """
    by_place = {(grid.experiment.name, grid.experiment.scale): grid for grid in grids}
    whole = {grid.experiment.name: grid for grid in papers}
    lines = []
    for claim in CLAIMS:
        judgements = {scale: _judge_backbones(claim, by_place.get((claim.experiment, scale))) for scale in SCALES}
        results = whole.get(claim.experiment) if claim.printed else None
        backbones = results.experiment.axes["backbone"] if results else ()
        gaps = {backbone: _printed_gap(claim, paper, results, backbone) for backbone in backbones}
        lines.append(Line(claim, judgements, {backbone: gap for backbone, gap in gaps.items() if gap is not None}))
    return lines


def _judge_backbones(claim: Claim, results: GridResults | None) -> list[Judgement]:
    """A judgement for each backbone with runs. If tasks are missing, the complete ones decide."""
    judgements = []
    for backbone in results.experiment.axes["backbone"] if results else ():
        tasks, seeds = results.experiment.axes["task"], len(results.experiment.axes["seed"])
        judged, without = judge(claim, results, backbone), tuple[str, ...]()
        if judged.seeds < min(2, seeds):  # a single seed with every task has no spread
            whole = [task for task in tasks if judge(claim, results.of_tasks((task,)), backbone).seeds == seeds]
            if whole:
                judged = judge(claim, results.of_tasks(tuple(whole)), backbone)
                without = tuple(task for task in tasks if task not in whole)
        judgements.append(replace(judged, backbone=backbone, without=without, few=judged.seeds < seeds))
    return [judged for judged in judgements if judged.verdict != NONE]


def judge(claim: Claim, results: GridResults, backbone: str) -> Judgement:
    """Judge a claim by the runs of a backbone."""
    at = {"backbone": backbone}
    if claim.measure == "examples":
        return _judge_examples(claim, results, at)
    if claim.measure == "width":
        return _judge_width(results, at | RESIDUAL)
    larger, smaller = map(Cell.over, measure(claim, results, at))
    return Judgement(verdict(larger, smaller), larger, smaller, min(larger.n, smaller.n))


def measure(claim: Claim, results: GridResults, at: At) -> tuple[pd.Series, pd.Series]:
    """The claim's two quantities by seed, the larger first."""
    axes = results.experiment.axes
    if claim.measure == "speed":
        return speeds(results, at)
    at = at | ({claim.smallest: min(axes[claim.smallest], key=float)} if claim.smallest else {})
    quantities = []
    for place in (at | claim.larger, at | claim.smaller):
        along = [{claim.along: value} for value in axes[claim.along]] if claim.along else [{}]
        lines = pd.DataFrame(dict(enumerate(average(results, place | each) for each in along))).dropna()
        quantities.append(lines.max(axis=1) - lines.min(axis=1) if claim.along else lines[0])
    return quantities[0], quantities[1]


def average(results: GridResults, at: At) -> pd.Series:
    """The mean over the grid's tasks, for the seeds that have a run of each."""
    results.at({**at, "task": results.experiment.axes["task"][0]})  # refuses unknown axes and values
    return pick_cell(task_scores(results, METRICS[results.experiment.name]), at)["average"].dropna()


def speeds(results: GridResults, at: At) -> tuple[pd.Series, pd.Series]:
    """The mean score over a run's evaluations and over tasks, higher if the score rises sooner: residual, then plain.

    Only evaluations that both runs of a seed have count, because one may have stopped earlier. A run with a single
    evaluation does not count: it shows no speed.
    """
    means: dict[str, dict[str, dict[str, float]]] = {"residual": {}, "vanilla": {}}
    for task in results.experiment.axes["task"]:
        runs = {prompt: results.at(at | {"task": task, "prompt": prompt}) for prompt in means}
        histories = {prompt: dict(of_prompt["history"]) if len(of_prompt) else {} for prompt, of_prompt in runs.items()}
        for prompt, other in (("residual", "vanilla"), ("vanilla", "residual")):
            means[prompt][task] = {
                seed: statistics.fmean(line["score"] for line in history[: len(histories[other].get(seed, history))])
                for seed, history in histories[prompt].items()
                if min(len(history), len(histories[other].get(seed, history))) > 1
            }
    residual, plain = (pd.DataFrame(by_task, dtype=float).dropna().mean(axis=1) for by_task in means.values())
    return residual, plain


def _judge_examples(claim: Claim, results: GridResults, at: At) -> Judgement:
    """By the mean difference over examples, tasks weighted equally: the claim shows if the 95 % interval lies above
    zero."""
    tasks = [at | {"task": task} for task in results.experiment.axes["task"]]
    pairs = [credits_of(results.at(place | claim.larger), results.at(place | claim.smaller)) for place in tasks]
    if None in pairs:
        return Judgement()
    test = compare_tasks(pairs)
    said = SHOWS if test.low > 0 else AGAINST if test.high < 0 else WITHIN
    return Judgement(said, seeds=test.seeds, test=test)


def _judge_width(results: GridResults, at: At) -> Judgement:
    """Whether the average varies less with the bottleneck's width than with the seed."""
    axis = "prompt.bottleneck"
    cells = [Cell.over(average(results, at | {axis: width})) for width in results.experiment.axes[axis]]
    seeds = min(cell.n for cell in cells)
    if not seeds:
        return Judgement()
    over_widths = Cell(statistics.stdev(cell.mean for cell in cells))
    if seeds == 1:
        return Judgement(TOO_FEW, over_widths, seeds=1)
    over_seeds = Cell(statistics.fmean(cell.sd for cell in cells))
    return Judgement(SHOWS if over_widths.mean <= over_seeds.mean else AGAINST, over_widths, over_seeds, seeds)


def verdict(larger: Cell, smaller: Cell) -> str:
    """Whether the difference is more than the larger of the two standard deviations."""
    if larger.mean is None or smaller.mean is None:
        return NONE
    if larger.sd is None or smaller.sd is None:
        return TOO_FEW
    gap, spread = larger.mean - smaller.mean, max(larger.sd, smaller.sd)
    return WITHIN if abs(gap) <= spread else SHOWS if gap > 0 else AGAINST


def _printed_gap(claim: Claim, paper: Paper, results: GridResults, backbone: str) -> float | None:
    """The paper's difference for this backbone or the most similar one; None if the paper does not give it."""
    quantities = []
    for at in (claim.larger, claim.smaller):
        line = _printed_line(claim, paper, results, backbone, at)
        if not line or None in line:
            return None
        quantities.append(max(line) - min(line) if claim.along else line[0])
    return quantities[0] - quantities[1]


def _printed_line(claim: Claim, paper: Paper, results: GridResults, backbone: str, at: At) -> list[float | None]:
    """The paper's averages at a place, along the claim's axis. For a figure: the mean of its curves for the grid's
    tasks, because its own panel of averages does not name its tasks."""
    axes = results.experiment.axes
    if claim.experiment.startswith("figure"):
        curves = [paper.curve(claim.experiment, task, at["prompt"])[1] for task in axes["task"]]
        return [statistics.fmean(scores) for scores in zip(*curves, strict=True)] if all(curves) else []
    if not paper.covered_by(axes["task"], claim.experiment):
        return []
    places = [at | {claim.along: value} for value in axes[claim.along]] if claim.along else [at]
    if claim.smallest:
        places = [{claim.smallest: min(axes[claim.smallest], key=float)} | at]
    name = paper.backbone_beside(claim.experiment, backbone)
    return [paper.value(claim.experiment, name, row_name(place), "average") for place in places]
