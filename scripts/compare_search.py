"""Searches of the learning rate beside grids: makes results/search.md from the records.

    python scripts/compare_search.py

The runs, with RUN = python -m rpt.train -m hydra/launcher=packed pack.processes=1 pack.max_runs=4 task=cb backbone=nano
data=mini tracking=none protocol.selection=held_out protocol.held_out=0.2 data.shots=16 trainer.epochs=6
trainer.eval_every=3 trainer.precision=fp32 results=outputs/search prompt=vanilla,residual:

    RUN lr=0.001,0.0018,0.003,...,10                         # the grids
    RUN hydra/sweeper=optuna hydra.sweeper.trials=8 hydra.sweeper.seed=0 'lr=tag(log,interval(0.001,10))'   # 0 to 4
    RUN lr=... seed=1,2,3                                    # every rate that a grid or a search chose
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

import rpt
from rpt.files import write_atomically
from rpt.records.search_file import by_score, read_searches
from rpt.reports.labels import label

RESULTS = Path(__file__).parent.parent / "results"
PAGE = RESULTS / "search.md"
NINE = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10)
GRIDS = ((0.001, 0.01, 0.1, 0.3, 1, 10), NINE, (*NINE, 0.0018, 0.0056, 0.018, 0.056, 0.18, 0.56, 1.8, 5.6))
HEAD = """# Searches beside grids

Does a search with half as many runs find a rate that is as good as a grid's? Optuna's search of `lr` from 0.001 to 10
stands beside grids of 6 (figure 4's), 9 and 17 rates: the miniature CB, 16 rows a class, 6 epochs, packs of 4, seed 0.
The best on 50 held-out rows is chosen. The highest held-out score is partly luck, so each chosen rate is trained again
with seeds 1 to 3. A score is their mean on the reported rows; a search is as good if it is not below the grid's.
`python scripts/compare_search.py` makes this page; [searches.md](searches.md) has every trial.

| prompt | grid | its rate | its score | trials | rates by search | scores by search | as good |
|--|--:|--:|--:|--:|--|--|--:|
"""


def compare(results: Path) -> str:
    """The table's rows, each prompt and grid beside the searches with half as many trials; and their sums."""
    runs = rpt.load_runs(results)
    runs = runs[runs["task"].eq("cb") & runs["backbone"].eq("nano") & runs["data.shots"].eq(16)]
    runs = runs[runs["trainer.epochs"].eq(6) & runs["protocol.selection"].eq("held_out")]
    searches = sorted(read_searches(results), key=lambda trials: trials[0].get("seed", 0))
    lines, good = [], dict.fromkeys(map(len, GRIDS), 0)
    for prompt in ("vanilla", "residual"):
        tuned = runs[runs["prompt"] == prompt]
        of_prompt = [trials for trials in searches if trials[0]["prompt"] == prompt]
        for rates in GRIDS:
            tried = tuned[tuned["seed"].eq(0) & tuned["lr"].isin(rates)]
            best = float(tried.loc[tried["best.select_score"].idxmax(), "lr"])
            bests = [min(trials[: len(rates) // 2], key=by_score) for trials in of_prompt]
            chosen = [float(trial["values"]["lr"]) for trial in bests]
            goal, scores = _score(tuned, best), [_score(tuned, rate) for rate in chosen]
            cells = [label("prompt", prompt), f"{len(rates)} rates", f"{best:g}", f"{goal:.1f}", f"{len(rates) // 2}"]
            cells += [" ".join(f"{rate:g}" for rate in chosen), " ".join(f"{score:.1f}" for score in scores)]
            as_good = sum(score >= goal for score in scores)
            good[len(rates)] += as_good
            lines.append([*cells, f"{as_good} of {len(scores)}"])
    rows = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    sums = [f"{count} of {len(searches)} with {size // 2} trials" for size, count in good.items()]
    return f"{rows}\nSearches that are as good, of both prompts: {', '.join(sums)}.\n"


def _score(runs: pd.DataFrame, rate: float) -> float:
    """The mean score of a rate over the seeds that chose nothing."""
    alike = runs[runs["lr"].eq(rate) & runs["seed"].isin((1, 2, 3))]
    assert len(alike) == 3, f"the rate {rate} needs runs with seeds 1, 2 and 3"
    return float(alike["scores.score"].mean())


if __name__ == "__main__":
    write_atomically(PAGE, (HEAD + compare(RESULTS)).encode())
