"""The paper's claims. They stand in claims.yaml and are judged here by the records of each scale;
templates/claims.md.j2 writes the table."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import pandas as pd

from rpt.config.yaml_files import load_yaml
from rpt.reports.grid_results import At, GridResults, pick_cell
from rpt.reports.layouts import METRICS
from rpt.reports.paper import Paper, row_name
from rpt.reports.scores import Cell, task_scores
from rpt.reports.significance import Comparison, compare_tasks, credits_of

SCALES = ("laptop", "mini", "paper")  # columns of the claims, in this order
SHOWS, WITHIN, AGAINST = "shows", "within the spread", "does not show"
TOO_FEW, NONE = "too few seeds to say", "not recorded"


@dataclass(frozen=True)
class Claim:
    """A quantity is larger at one place of an experiment's grid than at another.

    measure: which quantity, by seed: the "average" over tasks; the "speed" of learning; the average credit of single
        "examples"; and for "width" the spread along an axis against that of seeds.
    along: compare not the average but its range along this axis. smallest: an axis whose smallest value alone counts.
    printed: whether the paper gives both numbers.
    """

    text: str
    experiment: str
    larger: At = field(default_factory=lambda: {"prompt": "residual"})
    smaller: At = field(default_factory=lambda: {"prompt": "vanilla"})
    measure: Literal["average", "speed", "examples", "width"] = "average"
    along: str = ""
    smallest: str = ""
    printed: bool = True

    def places(self, results: GridResults, at: At) -> list[At]:
        """A place of the claim on the grid's axes; along an axis one for each of its values."""
        axes = results.experiment.axes
        at = ({self.smallest: min(axes[self.smallest], key=float)} if self.smallest else {}) | at
        return [at | {self.along: value} for value in axes[self.along]] if self.along else [at]


CLAIMS = tuple(Claim(**fields) for fields in load_yaml(Path(__file__).with_name("claims.yaml").read_text("utf-8")))


@dataclass(frozen=True)
class Judgement:
    """What our records say about a claim.

    larger, smaller: the two quantities; a claim over examples has a test instead. seeds: those that both have.
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
    """Judge every claim by the records.

    Args:
        grids: of all scales; a claim whose grid is missing at a scale is not recorded there.
        papers: the grids at the paper's scale, recorded or not, for the backbones and tasks of the paper's numbers.
    """
    lines = []
    for claim in CLAIMS:
        about = [grid for grid in grids if grid.experiment.name == claim.experiment]
        judgements: dict[str, list[Judgement]] = {scale: [] for scale in SCALES}
        for grid in about:
            judgements[grid.scale] += _judge_backbones(claim, grid)
        theirs = {
            backbone: gap
            for grid in papers
            if claim.printed and grid.experiment.name == claim.experiment
            for backbone in grid.experiment.axes["backbone"]
            if (gap := _printed_gap(claim, paper, grid, backbone)) is not None
        }
        lines.append(Line(claim, judgements, theirs))
    return lines


def _judge_backbones(claim: Claim, results: GridResults) -> list[Judgement]:
    """Judge a claim for each backbone with runs. If tasks are missing, the complete ones decide."""
    judgements, seeds = [], len(results.experiment.axes["seed"])
    for backbone in results.backbones:
        judged, without = judge(claim, results, backbone), tuple[str, ...]()
        if judged.seeds < min(2, seeds):  # a single seed with every task has no spread
            by_task = {task: judge(claim, results.of_tasks((task,)), backbone).seeds for task in results.tasks}
            if whole := tuple(task for task in results.tasks if by_task[task] == seeds):
                judged = judge(claim, results.of_tasks(whole), backbone)
                without = tuple(task for task in results.tasks if task not in whole)
        judgements.append(replace(judged, backbone=backbone, without=without, few=judged.seeds < seeds))
    return [judged for judged in judgements if judged.verdict != NONE]


def judge(claim: Claim, results: GridResults, backbone: str) -> Judgement:
    """Judge a claim by the runs of a backbone."""
    at = {"backbone": backbone}
    if claim.measure == "examples":
        return _judge_examples(claim, results, at)
    if claim.measure == "width":
        return _judge_width(averages(claim, results, at | claim.larger))
    shared = pd.concat(measure(claim, results, at), axis=1, join="inner")  # the seeds that both have
    larger, smaller = (Cell.over(quantity) for _, quantity in shared.items())
    return Judgement(verdict(larger, smaller), larger, smaller, seeds=len(shared))


def measure(claim: Claim, results: GridResults, at: At) -> tuple[pd.Series, pd.Series]:
    """Compute the claim's two quantities by seed, the larger first."""
    if claim.measure == "speed":
        return speeds(results, at)
    quantities = []
    for place in (claim.larger, claim.smaller):
        by_seed = averages(claim, results, at | place)
        quantities.append(by_seed.max(axis=1) - by_seed.min(axis=1) if claim.along else by_seed[0])
    return quantities[0], quantities[1]


def averages(claim: Claim, results: GridResults, at: At) -> pd.DataFrame:
    """The mean over the grid's tasks: a column for each place of the claim, a line for each seed that all of them have
    with a run of every task."""
    scores, places = task_scores(results, METRICS[results.experiment.name]), claim.places(results, at)
    results.check_cell({**places[0], "task": results.tasks[0]})
    return pd.DataFrame({number: pick_cell(scores, each)["average"] for number, each in enumerate(places)}).dropna()


def speeds(results: GridResults, at: At) -> tuple[pd.Series, pd.Series]:
    """The mean score over a run's evaluations and over tasks, higher if the score rises sooner: residual, then plain.

    Only evaluations that both runs of a seed have count, because one may have stopped earlier. A run with a single
    evaluation does not count: it shows no speed.
    """
    prompts, means = ["residual", "vanilla"], []
    for task in results.tasks:
        pair = [results.at(at | {"task": task, "prompt": prompt})["history"] for prompt in prompts]
        for seed, histories in pd.concat(pair, axis=1, join="inner").iterrows():
            if (shared := min(map(len, histories))) > 1:
                scores = [statistics.fmean(line["score"] for line in history[:shared]) for history in histories]
                means.append((seed, *scores))
    by_seed = pd.DataFrame(means, columns=["seed", *prompts]).groupby("seed")[prompts]
    whole = by_seed.mean()[by_seed.size() == len(results.tasks)].astype(float)
    return whole["residual"], whole["vanilla"]


def _judge_examples(claim: Claim, results: GridResults, at: At) -> Judgement:
    """Judge by the mean difference over examples, tasks weighted equally: the claim shows if the 95 % interval lies
    above zero."""
    pairs = []
    for task in results.tasks:
        runs = (results.at(at | {"task": task} | place) for place in (claim.larger, claim.smaller))
        if (pair := credits_of(*runs)) is None:
            return Judgement()
        pairs.append(pair)
    test = compare_tasks(pairs)
    return Judgement(SHOWS if test.low > 0 else AGAINST if test.high < 0 else WITHIN, seeds=test.seeds, test=test)


def _judge_width(by_width: pd.DataFrame) -> Judgement:
    """Judge whether the average varies less with the bottleneck's width than with the seed."""
    if not (seeds := len(by_width)):
        return Judgement()
    over_widths = float(by_width.mean().std())
    if seeds == 1:
        return Judgement(TOO_FEW, Cell(over_widths), seeds=1)
    over_seeds = float(by_width.std().mean())
    return Judgement(SHOWS if over_widths <= over_seeds else AGAINST, Cell(over_widths), Cell(over_seeds), seeds)


def verdict(larger: Cell, smaller: Cell) -> str:
    """Say whether the difference is more than the larger of the two standard deviations."""
    if larger.mean is None or smaller.mean is None:
        return NONE
    if larger.sd is None or smaller.sd is None:
        return TOO_FEW
    gap, spread = larger.mean - smaller.mean, max(larger.sd, smaller.sd)
    return WITHIN if abs(gap) <= spread else SHOWS if gap > 0 else AGAINST


def _printed_gap(claim: Claim, paper: Paper, results: GridResults, backbone: str) -> float | None:
    """The paper's difference for this backbone or the most similar one; None if the paper does not give it."""
    lines = [_printed_line(claim, paper, results, backbone, at) for at in (claim.larger, claim.smaller)]
    if not all(lines):
        return None
    larger, smaller = (max(line) - min(line) if claim.along else line[0] for line in lines)
    return larger - smaller


def _printed_line(claim: Claim, paper: Paper, results: GridResults, backbone: str, at: At) -> list[float]:
    """The paper's averages at a place, along the claim's axis; empty if one is missing. For a figure: the mean of its
    curves for the grid's tasks, because its own panel of averages does not name its tasks."""
    name = claim.experiment
    if name.startswith("figure"):
        curves = [paper.curve(name, task, at["prompt"])[1] for task in results.tasks]
        return [statistics.fmean(scores) for scores in zip(*curves, strict=True)] if all(curves) else []
    if not paper.covered_by(results.tasks, name):
        return []
    beside = paper.backbone_beside(name, backbone)
    numbers = [paper.number(name, beside, row_name(place), "average") for place in claim.places(results, at)]
    return [] if None in numbers else [each for each in numbers if each is not None]
