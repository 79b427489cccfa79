"""A search with Optuna: which values of the searched keys score best on held-out rows.

A trial is a run. The first trials are spread over the whole space; a Gaussian process of scores chooses the others.
Trials that cannot get better than the others' median are given up early. The samplers ask the same trials whenever they
are told the same scores, so a stopped search goes on from its records.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import logging
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import optuna
from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep, Override
from hydra.core.utils import JobReturn
from omegaconf import DictConfig
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import GPSampler, QMCSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from rpt.config import to_config
from rpt.config.choices import PROMPT_KEYS, read_choice
from rpt.config.schema import Values
from rpt.errors import UsageError
from rpt.records.run_folder import RunFolder
from rpt.records.search_file import by_score, write_search
from rpt.training.sweep.outcomes import PRUNED, SKIPPED

log = logging.getLogger("rpt")
SPREAD = 4  # trials must have a score before others are chosen by it; a power of two spreads Sobol's points best
MIN_CURVES = 4  # of finished trials, before one is given up beside them
WARM_UP = 4  # in the first of so many parts of a curve no trial is given up: it says too little


def split_overrides(overrides: Sequence[Override]) -> tuple[list[list[str]], dict[str, BaseDistribution]]:
    """The fixed overrides of each search, and the space that all of them search.

    Args:
        overrides: of which a plain list (prompt=vanilla,residual) makes a search for each value, and interval(),
            choice() and range() are searched.

    Raises:
        UsageError: nothing is searched.
    """
    grid: dict[str, list[str]] = {}
    space: dict[str, BaseDistribution] = {}
    for override in overrides:  # of a key that is given twice the last counts
        key, value = override.get_key_element(), override.value()
        grid.pop(key, None)
        space.pop(key, None)
        if isinstance(value, IntervalSweep):
            space[key] = _read_interval(value)
        elif isinstance(value, ChoiceSweep) and value.simple_form:
            grid[key] = [f"{key}={each}" for each in override.sweep_string_iterator()]
        elif override.is_sweep_override():
            space[key] = CategoricalDistribution(list(override.sweep_string_iterator()))
        else:
            grid[key] = [f"{key}={override.get_value_element_as_str()}"]
    if not space:
        raise UsageError(
            "hydra/sweeper=optuna has nothing to search; give a range, as in 'lr=tag(log,interval(0.001,10))', or a "
            "choice, as in 'prompt.init=choice(vocabulary,uniform)'; without the sweeper the list is a grid."
        )
    return [list(point) for point in itertools.product(*grid.values())], space


def _read_interval(interval: IntervalSweep) -> BaseDistribution:
    is_log, start, end = "log" in interval.tags, interval.start, interval.end
    assert start is not None and end is not None  # Hydra's grammar wants both
    if isinstance(start, int) and isinstance(end, int):
        return IntDistribution(start, end, log=is_log)
    return FloatDistribution(float(start), float(end), log=is_log)


def _as_typed(value: object) -> str:
    """The value as text. A number has three digits, for it becomes a part of its run's name."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _applies(key: str, fixed: Sequence[str]) -> bool:
    """Whether a searched option is one of the search's prompt."""
    prompts = [each.removeprefix("prompt=") for each in fixed if each.startswith("prompt=")]
    group, _, option = key.partition(".")
    return group != "prompt" or not prompts or option in {*PROMPT_KEYS, *read_choice("prompt", prompts[0])}


class SpreadSampler(QMCSampler):
    """Points of Sobol's sequence, spread evenly over the whole space from the first trial on.

    Optuna's sampler draws its first trial at random, and only then knows the space.
    """

    def __init__(self, space: dict[str, BaseDistribution], seed: int):
        super().__init__(scramble=True, seed=seed)
        self.space = space

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return self.space


@dataclass
class Asked:
    """A trial, its values as one types them, and its overrides."""

    trial: Trial
    values: dict[str, str]
    overrides: list[str]


class Search:
    """One search, e.g. that of residual prompts on CB.

    Args:
        fixed: the overrides of all its trials.
        space: what is searched; options that its prompt does not have are left out.
        seed: of the samplers.
        prune: whether trials are given up early.
    """

    def __init__(self, fixed: list[str], space: dict[str, BaseDistribution], seed: int, prune: bool):
        self.fixed, self.seed, self.prune = fixed, seed, prune
        self.space = {key: each for key, each in space.items() if _applies(key, fixed)}
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        with warnings.catch_warnings(action="ignore", category=optuna.exceptions.ExperimentalWarning):
            self.spread = SpreadSampler(self.space, seed)
            self.by_scores = GPSampler(n_startup_trials=SPREAD, seed=seed)
        self.study = optuna.create_study(direction="maximize", sampler=self.spread)
        self.curves: list[list[float]] = []  # of each finished trial: the best score by each evaluation
        self.lines: list[Values] = []  # of the file

    def ask(self, number: int) -> list[Asked]:
        """So many trials to be trained next."""
        bar = self.find_bar()
        overrides = [*self.fixed, *([f"pack.prune={json.dumps(bar)}"] if bar else [])]
        scored = self.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        self.study.sampler = self.spread if len(scored) < SPREAD else self.by_scores
        asked = []
        for _ in range(number):
            trial = self.study.ask(self.space)
            values = {key: _as_typed(value) for key, value in trial.params.items()}
            asked.append(Asked(trial, values, [*overrides, *(f"{key}={value}" for key, value in values.items())]))
        return asked

    def find_bar(self) -> list[float]:
        """The best score that a trial needs to go on, for each of its evaluations: the median of the others."""
        if not self.prune or len(self.curves) < MIN_CURVES:
            return []
        last = max(map(len, self.curves))
        curves = [curve + curve[-1:] * (last - len(curve)) for curve in self.curves]
        bar = [median(scores) for scores in zip(*curves, strict=True)]
        return [0.0 if at < last // WARM_UP else score for at, score in enumerate(bar)]

    def tell(self, asked: Asked, job: JobReturn) -> None:
        """What became of a trial.

        Raises:
            UsageError: another process trains it.
        """
        outcome, result = job._return_value, None
        if isinstance(outcome, Exception):
            state, value = "failed", None
        elif outcome.how == SKIPPED:
            raise UsageError(f"Another process trains this search ({outcome.folder}); start it again after that.")
        elif outcome.how == PRUNED:
            state, value = "pruned", float(outcome)
        else:
            record = RunFolder(outcome.folder).read()
            result = record.result
            state, value = "finished", result["best"]["select_score"]
            self.curves.append(list(itertools.accumulate((line["score"] for line in record.history), max)))
        # To Optuna a trial that was given up is complete, because its Gaussian process does not use pruned ones.
        self.study.tell(asked.trial, value, TrialState.FAIL if value is None else None)
        score = None if result is None else result["scores"]["score"]
        run = None if state == "failed" else outcome.folder.name
        line = {"trial": asked.trial.number, "state": state, "held_out": value, "score": score, "run": run}
        self.lines.append(line | {"values": asked.values})
        self.write(job)

    def show_best(self) -> None:
        """In the log."""
        finished = [line for line in self.lines if line["state"] == "finished"]
        pruned = sum(line["state"] == "pruned" for line in self.lines)
        log.info("%s: %d trials, %d finished, %d pruned", " ".join(self.fixed), len(self.lines), len(finished), pruned)
        if finished:
            best = min(finished, key=by_score)
            values = " ".join(f"{key}={value}" for key, value in best["values"].items())
            log.info("  best on held-out rows: %.2f (score %.2f) with %s", best["held_out"], best["score"], values)

    def write(self, job: JobReturn) -> None:
        """All trials so far, named by task, backbone, variant, a digest of what is fixed and searched, and the seed."""
        assert job.cfg is not None  # every launcher gives it
        config = to_config(job.cfg)
        name = [config.task.name, config.backbone.name, config.variant]
        outside = ("results=", "data.cache=", "tracking", "force=", "resume=", "pack.")
        fixed = sorted(each for each in self.fixed if not each.startswith(outside))
        digest = hashlib.sha256(json.dumps([fixed, sorted(map(str, self.space.items()))]).encode()).hexdigest()
        about = dict(zip(("task", "backbone", "prompt"), name, strict=True))
        file = "-".join([*name, digest[:8], f"seed{self.seed}"])
        write_search(Path(config.results), file, [about | {"seed": self.seed} | line for line in self.lines])


def check_selection(cfg: DictConfig) -> None:
    """Refuse a search that would choose by the rows that its scores are reported on.

    Raises:
        UsageError: with the key to set.
    """
    if cfg.protocol.selection != "held_out":
        raise UsageError("A search chooses by rows that no score is reported on; give protocol.selection=held_out.")
