"""Which of the paper's claims show. It is data, which templates/claims.md.j2 writes."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass, replace

from rpt.reports import quantities
from rpt.reports.grid_results import GridResults
from rpt.reports.paper import Paper
from rpt.reports.quantities import At, Ours, Theirs, averages, printed
from rpt.reports.scores import Cell
from rpt.reports.significance import Comparison, compare_tasks, credits_of

SCALES = ("laptop", "mini", "paper")  # columns of the claims, in this order
SHOWS, WITHIN, AGAINST = "shows", "within the spread", "does not show"
TOO_FEW, NONE = "too few seeds to say", "not recorded"
EMPTY = Cell()


@dataclass(frozen=True)
class Judgement:
    """What our records say of a claim.

    larger, smaller: the two quantities, the larger first if the claim shows. seeds: the fewest of either. test: of a
    claim over single examples, which has it in their place. few: whether the grid has more seeds. backbone: whose runs.
    without: the tasks of the grid that do not count.
    """

    verdict: str = NONE
    larger: Cell = EMPTY
    smaller: Cell = EMPTY
    seeds: int = 0
    test: Comparison | None = None
    few: bool = False
    backbone: str = ""
    without: tuple[str, ...] = ()


Judge = Callable[[GridResults, At], Judgement]


def by_spread(ours: Ours) -> Judge:
    """Judge two quantities by the spread of their seeds."""

    def judge(results: GridResults, at: At) -> Judgement:
        larger, smaller = map(Cell.of, ours(results, at))
        return Judgement(verdict(larger, smaller), larger, smaller, min(larger.n, smaller.n))

    return judge


def by_example(results: GridResults, at: At) -> Judgement:
    """Judge the mean difference of residual and plain over single examples, every task counting the same: the claim
    shows where the 95 % interval lies above zero."""
    pairs = [
        credits_of(*(results.at(at | {"task": task, "prompt": prompt}) for prompt in ("residual", "vanilla")))
        for task in results.experiment.axes["task"]
    ]
    if None in pairs:
        return Judgement()
    test = compare_tasks(pairs)
    said = SHOWS if test.low > 0 else AGAINST if test.high < 0 else WITHIN
    return Judgement(said, seeds=test.seeds, test=test)


def by_width(results: GridResults, at: At) -> Judgement:
    """Judge whether the bottleneck's width moves the average less than the seed does."""
    axis, at = "prompt.bottleneck", at | {"prompt": "residual"}
    cells = [Cell.of(quantities.average(results, at | {axis: width})) for width in results.experiment.axes[axis]]
    seeds = min(cell.n for cell in cells)
    if not seeds:
        return Judgement()
    over_widths = Cell(statistics.stdev(cell.mean for cell in cells))
    if seeds == 1:
        return Judgement(TOO_FEW, over_widths, seeds=1)
    over_seeds = Cell(statistics.fmean(cell.sd for cell in cells))
    return Judgement(SHOWS if over_widths.mean <= over_seeds.mean else AGAINST, over_widths, over_seeds, seeds)


@dataclass(frozen=True)
class Claim:
    """One claim: what it says, the experiment that it stands on, and how our records are judged.

    theirs: the paper's two numbers, for the grid's tasks; None where it does not give them.
    """

    text: str
    experiment: str
    judge: Judge
    theirs: Theirs | None = None


PLAIN, RESIDUAL = {"prompt": "vanilla"}, {"prompt": "residual"}
CLAIMS = (
    Claim("Residual PT beats PT on average", "table1", by_spread(averages(RESIDUAL, PLAIN)),
          printed("table1", "rpt", "pt")),
    Claim("The same over examples, tasks weighted equally", "table1", by_example),
    Claim("Residual PT beats PT w/ MLP on average", "table1", by_spread(averages(RESIDUAL, {"prompt": "mlp"})),
          printed("table1", "rpt", "pt-mlp")),
    Claim("Residual PT beats PT w/ LSTM on average", "table1", by_spread(averages(RESIDUAL, {"prompt": "lstm"})),
          printed("table1", "rpt", "pt-lstm")),
    Claim("Residual PT learns faster than PT (mean score over shared evaluations)", "figure3",
          by_spread(quantities.speeds)),
    Claim("PT moves more than Residual PT with the learning rate (highest minus lowest average)", "figure4",
          by_spread(quantities.ranges_along("lr")), quantities.digitised_ranges),
    Claim("PT moves more than Residual PT with the initialisation (highest minus lowest average)", "table4",
          by_spread(quantities.ranges_along("prompt.init")), quantities.printed_ranges),
    Claim("Residual PT beats PT with the shortest prompt", "table5",
          by_spread(averages(RESIDUAL, PLAIN, smallest="prompt.length")), printed("table5", "2-rpt", "2-pt")),
    Claim("Residual PT beats PT with the fewest training rows", "figure5",
          by_spread(averages(RESIDUAL, PLAIN, smallest="data.shots")), quantities.digitised_starts),
    Claim("A network per token beats a shared one", "table6",
          by_spread(averages(RESIDUAL | {"prompt.shared": "False"}, RESIDUAL | {"prompt.shared": "True"})),
          printed("table6", "rpt-separate", "rpt-shared")),
    Claim("The bottleneck's width matters no more than the seed (standard deviation over widths, over seeds)",
          "figure6", by_width),
)  # fmt: skip


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
        judgements = {scale: _judgements(claim, by_place.get((claim.experiment, scale))) for scale in SCALES}
        results = whole.get(claim.experiment) if claim.theirs else None
        backbones = results.experiment.axes["backbone"] if results else ()
        theirs = {backbone: claim.theirs(paper, results, backbone) for backbone in backbones}
        gaps = {backbone: numbers[0] - numbers[1] for backbone, numbers in theirs.items() if numbers}
        lines.append(Line(claim, judgements, gaps))
    return lines


def _judgements(claim: Claim, results: GridResults | None) -> list[Judgement]:
    """What is said of each backbone that has runs enough. Where tasks are missing, it is judged on the whole ones."""
    if results is None:
        return []
    judgements, tasks, seeds = [], results.experiment.axes["task"], len(results.experiment.axes["seed"])
    for backbone in results.experiment.axes["backbone"]:
        at = {"backbone": backbone}
        judged, without = claim.judge(results, at), list[str]()
        if judged.seeds < min(2, seeds):  # one seed that has every task is not enough: it has no spread
            whole = [task for task in tasks if claim.judge(results.of_tasks((task,)), at).seeds == seeds]
            judged = claim.judge(results.of_tasks(tuple(whole)), at) if whole else judged
            without = [task for task in tasks if task not in whole] if whole else []
        judgements.append(replace(judged, backbone=backbone, without=tuple(without), few=judged.seeds < seeds))
    return [judged for judged in judgements if judged.verdict != NONE]


def verdict(larger: Cell, smaller: Cell) -> str:
    """Whether the difference is more than the larger of the two standard deviations."""
    if larger.mean is None or smaller.mean is None:
        return NONE
    if larger.sd is None or smaller.sd is None:
        return TOO_FEW
    gap, spread = larger.mean - smaller.mean, max(larger.sd, smaller.sd)
    return WITHIN if abs(gap) <= spread else SHOWS if gap > 0 else AGAINST
