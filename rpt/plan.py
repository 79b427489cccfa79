"""What an experiment would cost: runs, time, memory.

    python -m rpt.plan [EXPERIMENT ...] [scale=mini] [task=cb,wic] [hydra/launcher=packed] [--config-dir mine]
        [other overrides]

Prints how many runs each of the paper's tables and figures still needs, and an estimate of their time and memory on
this machine, one run after another or in packs (with as many processes as would train them). The estimate stands on the
records made on this machine and, for a kind of run without one, on a few measured steps. Without a name all experiments
are planned; a run that several of them share is counted in each, and once in the total.

    python -m rpt.plan backbone=t5_base [backbone.path=FOLDER backbone.name=NAME] [cards=24,80] [other overrides]

Prints instead what training one prompt in front of that backbone takes, from its config.json alone: memory for each
way to keep its weights, whether that fits GPUs of so many gigabytes (without cards: this machine), and about how long
it takes there.
"""

from __future__ import annotations

import json
import logging
import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rpt.cli import argument, asked_for_help, keys_of, one_line_errors, read_arguments, refuse_flags, split_config_dir
from rpt.config import Config, as_dict, compose, hub_repos, settings, to_config, use_config_folder, validate
from rpt.config.grids import Experiment, Grids, names
from rpt.config.mistakes import LAUNCHERS, explained_mistakes, parse_overrides, refuse_misread
from rpt.errors import UsageError
from rpt.hub import require_repos

if TYPE_CHECKING:
    from rpt.records.run_records import RunRecords

DEFAULT_RESULTS = Path("results")
GIB = 2**30

Jobs = dict[str, Config]  # by identity: a run that experiments share is there once
Costs = dict[str, tuple[float, int]]  # of the same runs: seconds, peak bytes


@dataclass(frozen=True)
class Line:
    """Of the table: an experiment's runs and those of them that no record has, by identity."""

    name: str
    n_runs: int
    missing: list[str]


def plan(
    chosen: list[str],
    scale: str,
    overrides: list[str],
    results: Path,
    packed: bool = False,
    flags: Sequence[str] = (),
) -> str:
    """The table that the command prints, and the commands that train what is missing.

    Args:
        chosen: names of experiments.
        flags: what else the commands need, beside the overrides.

    Raises:
        UsageError: there is no such experiment, scale or key, or a run of it could not start here.
    """
    grids = Grids(scale, overrides)
    experiments = [grids.lay_out(name) for name in chosen]
    from rpt.records.run_records import RunRecords  # slow to import, so mistakes are found before

    records = RunRecords(results)
    missing = {experiment.name: _missing(experiment, records) for experiment in experiments}
    needed = {key: config for jobs in missing.values() for key, config in jobs.items()}
    costs, processes, devices = _estimate(needed, records, packed)
    lines = [Line(each.name, len(each.jobs), list(missing[each.name])) for each in experiments]
    if len(experiments) > 1:
        every = {_identity(config) for experiment in experiments for config in experiment.jobs.values()}
        lines.append(Line("in total", len(every), list(needed)))
    arguments = [*flags, *["hydra/launcher=packed"] * packed, *overrides]
    if results != DEFAULT_RESULTS:
        arguments.append(f"results={results}")
    commands = [command for each in experiments if missing[each.name] for command in each.commands]
    return "\n".join([*_table(lines, costs, processes, devices), *_to_run(commands, arguments)])


def _missing(experiment: Experiment, records: RunRecords) -> Jobs:
    """The runs of an experiment that have no record in this machine's precision: in another it is another run."""
    return {_identity(config): config for config in experiment.jobs.values() if not _is_recorded(config, records)}


def _is_recorded(config: Config, records: RunRecords) -> bool:
    if (record := records.find(config)) is None:
        return False
    if (precision := config.trainer.precision) == "auto":
        from rpt.backbones.device import precision_of  # slow to import: only the device says what auto means

        precision = precision_of(config)
    return record.result["precision"] == precision


def _identity(config: Config) -> str:
    return json.dumps(settings(as_dict(config)), sort_keys=True)


def _estimate(needed: Jobs, records: RunRecords, packed: bool) -> tuple[Costs, int, int]:
    """What each run costs, how many processes train at once, and on how many devices."""
    if not needed:
        return {}, 1, 1
    for config in needed.values():
        validate(config)
    require_repos(sorted({each for config in needed.values() for each in hub_repos(config).items()}))
    import torch
    from tqdm import tqdm

    from rpt.training.sweep.estimate import Estimator
    from rpt.training.sweep.preflight import check
    from rpt.training.sweep.workers import (
        count_devices,
        count_gpu_processes,
        count_processes,
        largest_pack,
        share_threads,
    )

    for config in needed.values():
        check(config)
    together: int | None = 1  # None is what a trial finds
    processes, threads = 1, torch.get_num_threads()
    if packed:
        together = largest_pack(list(needed.values()))
        processes = count_processes(next(iter(needed.values())).pack.processes, len(needed))
        torch.set_num_threads(share_threads(processes))  # measured as each of the processes will train
    estimator = Estimator(
        ((record.config, record.result) for record in records), together, count_gpu_processes(processes)
    )
    what = f"{estimator.count_unknown_kinds(list(needed.values()))} kinds of run to measure"
    try:
        costs = {
            key: estimator.estimate(config) for key, config in tqdm(needed.items(), desc=what, unit="run", disable=None)
        }
    finally:
        torch.set_num_threads(threads)
    return costs, processes, count_devices(processes)


def _table(lines: list[Line], costs: Costs, processes: int, devices: int) -> list[str]:
    """Several processes on one GPU count as fast as one: what they gain has not been measured."""
    from rpt.training.sweep.outcomes import say_time

    rows = [f"{'experiment':<12}{'runs':>6}{'recorded':>10}{'to run':>8}{'time':>12}{'memory':>11}"]
    for line in lines:
        needed = [costs[key] for key in line.missing]
        time = say_time(sum(seconds for seconds, _ in needed) / devices)
        memory = f"{processes * max(peak for _, peak in needed) / GIB:.1f} GiB" if needed else ""
        recorded = line.n_runs - len(needed)
        rows.append(f"{line.name:<12}{line.n_runs:>6}{recorded:>10}{len(needed):>8}{time:>12}{memory:>11}")
    return rows


def _to_run(commands: list[str], arguments: list[str]) -> list[str]:
    lines = ["  " + " ".join([command, *map(shlex.quote, arguments)]) for command in commands]
    return ["", "to run them:", *lines] if lines else []


def plan_one(overrides: list[str], cards: str) -> str:
    """What training one prompt takes, from the config.json of its backbone.

    Args:
        cards: gigabytes of GPUs, as "24,80"; nothing is this machine.

    Raises:
        UsageError: an override names no key or choice, or config.json cannot be had.
    """
    sizes = [size for size in cards.split(",") if size]
    if not all(size.isdecimal() and int(size) > 1 for size in sizes):
        raise UsageError(f"cards={cards} should be gigabytes of GPUs: cards=24,80")
    with explained_mistakes():
        if lists := [each.input_line for each in parse_overrides(overrides) if each.is_sweep_override()]:
            raise UsageError(
                f"{lists[0]} is a list of values; give one, or name an experiment: python -m rpt.plan table1"
            )
        config = to_config(compose("train", overrides), overrides)
    from rpt.hub import offline_unless_reachable  # slow to import
    from rpt.training.sweep.cards import plan_backbone
    from rpt.training.sweep.preflight import check

    check(config)
    if hub_repos(config):
        offline_unless_reachable()
    return plan_backbone(config, [int(size) for size in sizes])


@dataclass
class PlanArguments:
    scale: str = "paper"
    results: str = str(DEFAULT_RESULTS)
    launcher: str = argument("hydra/launcher", "basic")
    cards: str = ""

    def __post_init__(self) -> None:
        known = ("basic", "packed", *LAUNCHERS)
        if self.launcher not in known:
            raise UsageError(
                f"hydra/launcher={self.launcher} is not known here; choose one of: {', '.join(known)}. All but packed "
                "train run after run."
            )
        self.results = os.path.expanduser(self.results)
        if os.path.exists(self.results) and not os.path.isdir(self.results):
            raise UsageError(f"results={self.results} is no folder; give the one that results= is in training.")


def main() -> None:
    """The command line."""
    with one_line_errors():
        arguments, folder = split_config_dir(sys.argv[1:])
        if folder is not None:
            use_config_folder(folder)
        if asked_for_help(f"{__doc__.strip()}\n\nExperiments: {', '.join(names())}"):
            return
        refuse_flags(arguments)
        logging.getLogger("rpt").setLevel(logging.WARNING)
        chosen = list(dict.fromkeys(each for each in arguments if "=" not in each))
        keys = keys_of(PlanArguments)
        ours = [each for each in arguments if each.partition("=")[0] in keys]
        overrides = [each for each in arguments if "=" in each and each not in ours]
        refuse_misread(overrides)
        read = read_arguments(PlanArguments, ours)
        flags = [] if folder is None else ["--config-dir", folder]
        flags += [f"hydra/launcher={read.launcher}"] * (read.launcher in LAUNCHERS)
        if not chosen and any(each.startswith("backbone") for each in overrides):
            if others := [each for each in ours if not each.startswith("cards=")]:
                raise UsageError(
                    f"{others[0]} is for experiments; name one: python -m rpt.plan table1, or leave it out."
                )
            print(plan_one(overrides, read.cards))
            return
        if read.cards:
            raise UsageError("cards= is for the plan of one backbone: python -m rpt.plan backbone=NAME cards=24,80")
        print(plan(chosen or names(), read.scale, overrides, Path(read.results), read.launcher == "packed", flags))


if __name__ == "__main__":
    main()
