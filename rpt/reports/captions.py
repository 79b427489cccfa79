"""What captions say of a grid: its scale, its metrics, its budget."""

from __future__ import annotations

from rpt.config import Config
from rpt.reports.grid_results import GridResults
from rpt.reports.labels import in_words, label
from rpt.reports.layouts import Metrics
from rpt.tasks import TASKS, get_task

MINIATURE = "MINIATURE: embedded nano backbone and our own grammars; not comparable with SuperGLUE."
LAPTOP = "LAPTOP: MiniLM-L6, 22 million parameters, on SuperGLUE's rows; the paper has no such runs."
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
        f"{label('task', task)} {'mean of ' if len(of) > 1 else ''}{in_words([label('metric', m) for m in of])}"
        for task, of in words.items()
        if of != ("accuracy",)
    ]
    if len(special) < len(words):
        special.append("accuracy elsewhere" if special else "accuracy")
    return "; ".join(special)


def average_in_words(tasks: tuple[str, ...]) -> str:
    """What the average over a grid's tasks is, at the start of a sentence."""
    return "Average over all tasks" if len(tasks) > 1 else f"Score on {label('task', tasks[0])}"


def training(results: GridResults) -> str:
    """How long its runs train, in a sentence, as tasks, backbones and rows may differ in it; and how their learning
    rate was chosen, where it was."""
    # What is trained, the backbone and the budget of each kind of run, in the order of the grid; and its tasks.
    kinds: dict[tuple[str, str, str], dict[str, None]] = {}
    by_task: dict[str, dict[str, None]] = {}
    for job in results.experiment.jobs.values():
        task, budget = label("task", job.task.name), _budget(job)
        kinds.setdefault((job.variant, job.backbone.name, budget), {})[task] = None
        by_task.setdefault(task, {})[budget] = None
    whose: dict[str, dict[str, None]] = {}
    if all(len(budgets) == 1 for budgets in by_task.values()):
        for task, (budget,) in by_task.items():
            whose.setdefault(budget, {})[task] = None
    else:
        for (trained, backbone, budget), tasks in kinds.items():
            others = [(of, b) for t, of, b in kinds if t == trained and (of, b) != (backbone, budget)]
            words = [label("backbone", backbone)] * any(of != backbone and b != budget for of, b in others)
            words += [label("prompt", trained), *[f"({', '.join(tasks)})"] * any(of == backbone for of, _ in others)]
            whose.setdefault(budget, {})[" ".join(words)] = None
    parts = [f"{', '.join(names)} {budget}" for budget, names in whose.items()]
    said = [f"Training: {next(iter(whose)) if len(whose) == 1 else '; '.join(parts)}.", *_cosines(results)]
    return " ".join([*said, rates_in_words(results)] if results.rates else said)


def _cosines(results: GridResults) -> list[str]:
    """On which tasks encoders compare texts by the cosine, in a sentence; nothing where they do on none."""
    jobs = results.experiment.jobs.values()
    tasks = dict.fromkeys(label("task", job.task.name) for job in jobs if job.backbone.pooling == "cosine")
    return [f"On {in_words([*tasks])} the head reads the cosine of two texts, each read alone."] if tasks else []


def rates_in_words(results: GridResults) -> str:
    """How many learning rates were tried and how one was chosen, in a sentence."""
    numbers = " or ".join(map(str, sorted({len(choice.asked) for choice in results.rates})))
    return f"Learning rate: the best of {numbers} on held-out rows, for each row and task."


def selection_in_words(grids: list[GridResults]) -> str:
    """On which rows the best epoch was chosen, in a sentence."""
    experiments: dict[str, dict[str, None]] = {}
    for results in grids:
        for config in results.experiment.jobs.values():
            share = f"on held-out rows, {config.protocol.held_out:g} of the training rows"
            where = share if config.protocol.selection == "held_out" else "on the rows that are reported"
            experiments.setdefault(where, {})[results.experiment.name] = None
    (usual, _), *others = sorted(experiments.items(), key=lambda item: -len(item[1]))
    return "; ".join([f"The best epoch is chosen {usual}", *(f"in {', '.join(of)} {w}" for w, of in others)]) + "."


def _budget(config: Config) -> str:
    trainer = config.trainer
    length = f"{trainer.epochs} epochs" if trainer.max_steps is None else f"{trainer.max_steps} steps"
    if trainer.patience is None:
        return length
    evaluations = "" if trainer.eval_every == 1 else f" evaluations (one every {trainer.eval_every} epochs)"
    score = "held-out score" if config.protocol.selection == "held_out" else "score"
    return f"at most {length}, stopped after {trainer.patience}{evaluations} without a better {score}"
