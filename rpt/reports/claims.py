"""Which of the paper's claims show in the records, by one stated rule."""

from __future__ import annotations

import statistics
from dataclasses import dataclass

from rpt.reports.grid_results import GridResults
from rpt.reports.labels import label, signed
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
    "than that. *Does not show*: it is larger, the other way round. Of the seeds, those count that have every run."
)
Line = tuple[str, str, str, str, str, str]


@dataclass(frozen=True)
class Claim:
    """One claim: what it says, the experiment that it stands on, and the two quantities, the larger first.

    theirs: the paper's two numbers, for the grid's tasks; None where it does not give them.
    """

    text: str
    experiment: str
    ours: Ours
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
)  # fmt: skip


def check_claims(grids: list[GridResults], paper: Paper) -> list[Line]:
    """Lines of: the claim, its experiment, backbone, our numbers, the paper's difference, the verdict."""
    by_name, lines = {results.experiment.name: results for results in grids}, []
    for claim in (claim for claim in CLAIMS if claim.experiment in by_name):
        results = by_name[claim.experiment]
        for backbone in results.experiment.axes["backbone"]:
            larger, smaller = map(Cell.of, claim.ours(results, {"backbone": backbone}))
            theirs = claim.theirs(paper, results, backbone) if claim.theirs else None
            gap = "" if theirs is None else signed(theirs[0] - theirs[1])
            if gap and claim.experiment.startswith("figure"):
                gap = f"about {gap}"
            words = (claim.text, claim.experiment, label("backbone", backbone), _numbers(larger, smaller), gap)
            lines.append((*words, verdict(larger, smaller)))
    if results := by_name.get("figure6"):
        lines += [_width(results, backbone) for backbone in results.experiment.axes["backbone"]]
    return lines


def verdict(larger: Cell, smaller: Cell) -> str:
    """By RULE; says so where there are too few seeds for a spread."""
    if larger.mean is None or smaller.mean is None:
        return "not recorded"
    if larger.sd is None or smaller.sd is None:
        return "too few seeds to say"
    gap, spread = larger.mean - smaller.mean, max(larger.sd, smaller.sd)
    return "within the spread" if abs(gap) <= spread else "shows" if gap > 0 else "does not show"


def _width(results: GridResults, backbone: str) -> Line:
    """Whether the bottleneck's width moves the average less than the seed does."""
    axis = "prompt.bottleneck"
    at = {"backbone": backbone, "prompt": "residual"}
    cells = [Cell.of(average(results, at | {axis: width})) for width in results.experiment.axes[axis]]
    numbers, said = "", "not recorded"
    if all(cell.mean is not None for cell in cells):
        said = "too few seeds to say"
    if all(cell.sd is not None for cell in cells):
        by_width, by_seed = statistics.stdev(cell.mean for cell in cells), statistics.fmean(cell.sd for cell in cells)
        numbers, said = f"{by_width:.1f} against {by_seed:.1f}", "shows" if by_width <= by_seed else "does not show"
    text = "The bottleneck's width matters no more than the seed (standard deviation over widths, over seeds)"
    return text, results.experiment.name, label("backbone", backbone), numbers, "", said


def _numbers(larger: Cell, smaller: Cell) -> str:
    if larger.mean is None or smaller.mean is None:
        return ""
    seeds = f"n = {larger.n}" if larger.n == smaller.n else f"n = {larger.n} and {smaller.n}"
    return f"{larger} against {smaller} ({seeds})"
