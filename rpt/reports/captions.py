"""What captions say of a grid: its scale, its metrics, its budget."""

from __future__ import annotations

from rpt.config import Config
from rpt.reports.grid_results import GridResults
from rpt.reports.labels import label
from rpt.reports.layouts import Metrics
from rpt.tasks import TASKS, get_task

MINIATURE = "MINIATURE: embedded nano backbone and our own grammars; not comparable with SuperGLUE."
LAPTOP = "LAPTOP: MiniLM-L6, 22 million parameters, on SuperGLUE's rows, 200 steps a run; the paper has no such runs."
WARNINGS = {"mini": MINIATURE, "laptop": LAPTOP}  # before each caption at a scale that is not the paper's


def captioned(caption: str, scale: str) -> str:
    """With what a reader must know of the scale first."""
    return " ".join(filter(None, (WARNINGS.get(scale), caption)))


def metrics_in_words(tasks: tuple[str, ...], metrics: Metrics, family: str = "t5") -> str:
    """What each task's number is, the accuracies in one.

    Args:
        family: of the backbones; encoders are given some tasks in another form.
    """
    headlines = {task: get_task(task, family).paper_score if task in TASKS else ("score",) for task in tasks}
    words = {task: metrics.get(task) or headlines[task] for task in tasks}
    special = [
        f"{label('task', task)} {'mean of ' if len(of) > 1 else ''}{' and '.join(label('metric', m) for m in of)}"
        for task, of in words.items()
        if of != ("accuracy",)
    ]
    return "; ".join([*special, "accuracy elsewhere" if special else "accuracy"])


def training(results: GridResults) -> str:
    """How long its runs train, in a sentence: grids of one prompt and task may differ in it."""
    # What is trained, the backbone and the budget of each kind of run, in the order of the grid.
    kinds = list(
        dict.fromkeys((job.variant, job.backbone.name, _budget(job)) for job in results.experiment.jobs.values())
    )
    rows_of: dict[str, dict[str, None]] = {}
    for trained, backbone, budget in kinds:
        differs = len({b for t, _, b in kinds if t == trained}) > 1
        words = [label("backbone", backbone)] * differs + [label("prompt", trained)]
        rows_of.setdefault(budget, {})[" ".join(words)] = None
    if len(rows_of) == 1:
        return f"Training: {next(iter(rows_of))}."
    parts = [f"{', '.join(rows)} {budget}" for budget, rows in rows_of.items()]
    return f"Training: {'; '.join(parts)}."


def _budget(config: Config) -> str:
    steps = config.trainer.max_steps
    return f"{config.trainer.epochs} epochs" if steps is None else f"{steps} steps"
