"""Which of the paper's claims show in the records of each scale, by one stated rule."""

from __future__ import annotations

import statistics
from dataclasses import dataclass

from rpt.reports.grid_results import GridResults
from rpt.reports.labels import in_words, label, signed
from rpt.reports.paper import Paper
from rpt.reports.quantities import (
    Ours,
    Theirs,
    average,
    digitised_ranges,
    digitised_starts,
    of_prompts,
    of_ranges,
    of_settings,
    of_speeds,
    printed,
    printed_ranges,
)
from rpt.reports.scores import Cell

RULE = (
    "Rule: the two numbers are means over seeds of the quantity named. *Shows*: the first is larger, as the paper "
    "says, by more than the larger of their two standard deviations. *Within the spread*: the difference is no larger "
    "than that. *Does not show*: it is larger, the other way round. Of the seeds, those count that have every run. "
    "Where tasks are still to be run, a claim is judged on those that have every run and seed, and they are named. The "
    "paper's difference is of its own backbones and tasks."
)
COLUMNS = {"laptop": "real rows, MiniLM", "mini": "miniature", "paper": "the paper's scale"}  # by scale
HEADER = ("claim of the paper", "from", *COLUMNS.values(), "the paper's difference")
Line = tuple[str, ...]


@dataclass(frozen=True)
class Claim:
    """One claim: what it says, the experiment that it stands on, and the two quantities, the larger first.

    ours: None for the claim that compares widths with seeds. theirs: the paper's two numbers, for the grid's tasks;
    None where it does not give them.
    """

    text: str
    experiment: str
    ours: Ours | None
    theirs: Theirs | None = None


CLAIMS = (
    Claim("Residual PT beats PT on average", "table1", of_prompts("residual", "vanilla"),
          printed("table1", "rpt", "pt")),
    Claim("Residual PT beats PT w/ MLP on average", "table1", of_prompts("residual", "mlp"),
          printed("table1", "rpt", "pt-mlp")),
    Claim("Residual PT beats PT w/ LSTM on average", "table1", of_prompts("residual", "lstm"),
          printed("table1", "rpt", "pt-lstm")),
    Claim("Residual PT learns faster than PT (score averaged over two evaluations or more)", "figure3", of_speeds),
    Claim("PT moves more than Residual PT with the learning rate (highest minus lowest average)", "figure4",
          of_ranges("lr"), digitised_ranges),
    Claim("PT moves more than Residual PT with the initialisation (highest minus lowest average)", "table4",
          of_ranges("prompt.init"), printed_ranges),
    Claim("Residual PT beats PT with the shortest prompt", "table5",
          of_prompts("residual", "vanilla", shortest="prompt.length"), printed("table5", "2-rpt", "2-pt")),
    Claim("Residual PT beats PT with the fewest training rows", "figure5",
          of_prompts("residual", "vanilla", shortest="data.shots"), digitised_starts),
    Claim("A network per token beats a shared one", "table6", of_settings("prompt.shared", "False", "True"),
          printed("table6", "rpt-separate", "rpt-shared")),
    Claim("The bottleneck's width matters no more than the seed (standard deviation over widths, over seeds)",
          "figure6", None),
)  # fmt: skip


def check_claims(grids: list[GridResults], papers: list[GridResults], paper: Paper) -> list[Line]:
    """A line for each claim, in the order of HEADER: what the records of each scale say, and the paper's difference.

    Args:
        grids: of all scales; a claim whose grid is missing at a scale is not recorded there.
        papers: the grids at the paper's scale, recorded or not, for the backbones and tasks of the paper's numbers.
    """
    by_place = {(of.experiment.name, of.experiment.scale): of for of in grids}
    own = {of.experiment.name: of for of in papers}
    lines = []
    for claim in CLAIMS:
        at_scales = [_at_scale(claim, by_place.get((claim.experiment, scale))) for scale in COLUMNS]
        theirs = _of_the_paper(claim, own[claim.experiment], paper) if claim.experiment in own else ""
        lines.append((claim.text, claim.experiment, *at_scales, theirs))
    return lines


@dataclass(frozen=True)
class Judgement:
    """What our records say of a claim; numbers: none where runs are missing; seeds: the fewest of its quantities."""

    verdict: str
    numbers: str
    seeds: int


def _at_scale(claim: Claim, results: GridResults | None) -> str:
    """The verdict and the numbers of each backbone that has them."""
    found = []
    for backbone in results.experiment.axes["backbone"] if results else ():
        judged, where = _judged(claim, results, backbone), ""
        # One seed that has every task is not enough: it has no spread.
        enough = min(2, len(results.experiment.axes["seed"]))
        if judged.seeds < enough and (tasks := _whole_tasks(claim, results, backbone)):
            judged = _judged(claim, results.of_tasks(tasks), backbone)
            where = f", on {in_words([label('task', task) for task in tasks])} alone"
        if judged.numbers:
            found.append(f"{judged.verdict} ({label('backbone', backbone)}: {judged.numbers}{where})")
    return "; ".join(found) or "not recorded"


def _whole_tasks(claim: Claim, results: GridResults, backbone: str) -> tuple[str, ...]:
    """The tasks that have every run of a claim with every seed of the grid."""
    tasks, seeds = results.experiment.axes["task"], len(results.experiment.axes["seed"])
    return tuple(task for task in tasks if _judged(claim, results.of_tasks((task,)), backbone).seeds == seeds)


def _judged(claim: Claim, results: GridResults, backbone: str) -> Judgement:
    if claim.ours is None:
        return _width(results, backbone)
    larger, smaller = map(Cell.of, claim.ours(results, {"backbone": backbone}))
    return Judgement(verdict(larger, smaller), _numbers(larger, smaller), min(larger.n, smaller.n))


def _of_the_paper(claim: Claim, results: GridResults, paper: Paper) -> str:
    """The paper's difference for each of its backbones."""
    found = {}
    for backbone in results.experiment.axes["backbone"] if claim.theirs else ():
        theirs = claim.theirs(paper, results, backbone)
        if theirs is not None and None not in theirs:
            found[label("backbone", backbone)] = signed(theirs[0] - theirs[1])
    about = "about " if claim.experiment.startswith("figure") else ""  # read off its plots
    return ", ".join(f"{about}{gap} ({backbone})" for backbone, gap in found.items())


def verdict(larger: Cell, smaller: Cell) -> str:
    """By RULE; says so where there are too few seeds for a spread."""
    if larger.mean is None or smaller.mean is None:
        return "not recorded"
    if larger.sd is None or smaller.sd is None:
        return "too few seeds to say"
    gap, spread = larger.mean - smaller.mean, max(larger.sd, smaller.sd)
    return "within the spread" if abs(gap) <= spread else "shows" if gap > 0 else "does not show"


def _width(results: GridResults, backbone: str) -> Judgement:
    """Whether the bottleneck's width moves the average less than the seed does."""
    axis = "prompt.bottleneck"
    at = {"backbone": backbone, "prompt": "residual"}
    cells = [Cell.of(average(results, at | {axis: width})) for width in results.experiment.axes[axis]]
    seeds = min(cell.n for cell in cells)
    if not seeds:
        return Judgement("not recorded", "", 0)
    by_width = statistics.stdev(cell.mean for cell in cells)
    if seeds == 1:
        return Judgement("too few seeds to say", f"{by_width:.1f} over widths", seeds)
    by_seed = statistics.fmean(cell.sd for cell in cells)
    said = "shows" if by_width <= by_seed else "does not show"
    return Judgement(said, f"{by_width:.1f} against {by_seed:.1f}", seeds)


def _numbers(larger: Cell, smaller: Cell) -> str:
    if larger.mean is None or smaller.mean is None:
        return ""
    seeds = f"n = {larger.n}" if larger.n == smaller.n else f"n = {larger.n} and {smaller.n}"
    return f"{larger} against {smaller}, {seeds}"
