"""Compare searches of the learning rate with grids: do half as many trials find a rate that is as good?

    python scripts/compare_search.py results/search

FOLDER/grid has the runs of the largest grid, FOLDER/searches the trials of searches with several seeds. A smaller grid
is a part of the largest, and a shorter search the first trials of a longer one. Writes FOLDER/comparison.md.
"""

from __future__ import annotations

import sys
from pathlib import Path
from statistics import mean
from typing import Any

import rpt
from rpt.files import write_atomically
from rpt.records.search_file import read_searches

FIGURE_4 = (0.001, 0.01, 0.1, 0.3, 1, 10)
NINE = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10)
SEVENTEEN = (*NINE, 0.0018, 0.0056, 0.018, 0.056, 0.18, 0.56, 1.8, 5.6)
GRIDS = {"figure 4's rates": FIGURE_4, "two rates a decade": NINE, "four rates a decade": SEVENTEEN}
HEADER = "| prompt | grid | its runs | held-out | score | trials | held-out by seed | mean score | as good |"


def compare(folder: Path) -> str:
    """The comparison as Markdown."""
    runs = rpt.load_runs(folder / "grid")
    searches = sorted(read_searches(folder), key=lambda trials: int(trials[0]["seed"]))
    lines = []
    for prompt in sorted(set(runs["prompt"]), reverse=True):
        of_prompt = [trials for trials in searches if trials[0]["prompt"] == prompt]
        for name, rates in GRIDS.items():
            best = runs[(runs["prompt"] == prompt) & runs["lr"].isin(rates)].nlargest(1, "best.select_score").iloc[0]
            held_out, score, trials = best["best.select_score"], best["scores.score"], len(rates) // 2
            bests = [_find_best(each[:trials]) for each in of_prompt]
            good = sum(each["held_out"] >= held_out for each in bests)
            lines.append(
                f"| {prompt} | {name} | {len(rates)} | {held_out:.1f} | {score:.1f} | {trials} "
                f"| {' '.join(format(each['held_out'], '.1f') for each in bests)} "
                f"| {mean(each['score'] for each in bests):.1f} | {good} of {len(bests)} |"
            )
    rule = "|--|--|--:|--:|--:|--:|--|--:|--:|"
    said = "Best held-out scores: of a grid, and of searches with half as many trials. Scores are those on other rows."
    return "\n".join(["# Searches beside grids", "", said, "", HEADER, rule, *lines, ""])


def _find_best(trials: list[dict[str, Any]]) -> dict[str, Any]:
    """The finished trial with the best score on held-out rows."""
    return max((each for each in trials if each["state"] == "finished"), key=lambda each: each["held_out"])


def main() -> None:
    folder = Path(sys.argv[1])
    text = compare(folder)
    write_atomically(folder / "comparison.md", text.encode())
    print(text)


if __name__ == "__main__":
    main()
