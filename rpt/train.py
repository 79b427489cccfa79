"""Train a soft prompt: configuration in, record out.

    python -m rpt.train task=boolq prompt=residual

`--help` prints every choice; the README explains them.
"""

from __future__ import annotations

import os
import re
import sys
import threading
from contextlib import nullcontext
from types import ModuleType
from typing import TYPE_CHECKING

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from rpt.cli import one_line_errors, split_config_dir
from rpt.config import Config, config_folder, hub_repos, to_config, use_config_folder, validate
from rpt.config.hydra_app import (
    HELP,
    MULTIRUN,
    SWEPT,
    check_flags,
    help_text,
    set_up,
    set_up_job,
    set_up_mode,
    without_dashes,
)
from rpt.config.mistakes import explained_mistakes, refuse_misread
from rpt.errors import UsageError
from rpt.hub import require_repos
from rpt.training.sweep.launched import ending_with_command, ending_with_workers
from rpt.training.sweep.needs import check_sweep

if TYPE_CHECKING:
    from rpt.api import Run


def train(config: Config, is_alone: bool = True) -> float:
    """Run one configuration to its record and return its score; a finished record is returned as it is.

    NaN if another process is training the same run.

    Args:
        is_alone: False if this thread trains more runs after it, for which backbone and rows stay in memory.

    Raises:
        UsageError: the configuration, the data, the backbone or a file cannot be used.
    """
    validate(config)  # `train_all` checks it again and further, but its libraries take seconds to import
    require_repos(hub_repos(config).items())
    from rpt.training.sweep.sweep import loader_of, train_all

    (outcome,) = train_all([config], loader=None if is_alone else loader_of(threading.get_ident()))
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


@hydra.main(version_base="1.3", config_path=config_folder(), config_name="train")
def _job(cfg: DictConfig) -> float:
    hydra_config = HydraConfig.get()
    is_alone = hydra_config.mode == RunMode.RUN
    # A run alone ends here: to what is raised, Hydra adds a line of its own. A sweep goes on with its other runs.
    with one_line_errors() if is_alone else nullcontext(), explained_mistakes():
        set_up_job(hydra_config)
        if hydra_config.job.chdir:
            raise UsageError("hydra.job.chdir=true would scatter records over folders; give results=FOLDER instead.")
        if is_alone and "experiment" in hydra_config.runtime.choices:
            raise UsageError("An experiment is a grid of runs; add -m: python -m rpt.train -m +experiment=...")
        for each in hydra_config.overrides.hydra if is_alone else ():
            if re.match(r"hydra[/.](launcher|sweeper)\b", each):
                raise UsageError(f"{each} is for sweeps; add -m, or leave it out: this run trains here and alone.")
        config = to_config(cfg, hydra_config.overrides.task)
        if config.pack.on != "here":  # only the packed launcher reads it, and does not come here
            raise UsageError(f"pack.on={config.pack.on} is for packs; add -m hydra/launcher=packed.")
        with ending_with_command():
            return train(config, is_alone)


def main() -> None:
    """The command line."""
    with one_line_errors(), explained_mistakes():
        stand_alone()
        set_up()
        arguments, folder = split_config_dir(without_dashes(sys.argv[1:]))
        if folder is not None:
            use_config_folder(folder)
        in_order = sorted(arguments, key=lambda each: each not in MULTIRUN)  # Hydra wants its flags first or last
        sys.argv[1:] = [*([] if folder is None else ["--config-dir", folder]), *in_order]
        overrides = check_flags()
        refuse_misread(overrides)
        flags = {each for each in arguments if each.startswith("-")}
        if len(flags) == 1 and flags <= set(HELP):
            print(help_text(overrides))
        else:
            is_sweep = bool(flags & set(MULTIRUN))
            if is_sweep:
                check_sweep(overrides)
            set_up_mode(flags, overrides)
            with ending_with_workers() if is_sweep else nullcontext():
                _job()
            if SWEPT:
                _end_sweep()


def stand_alone() -> None:
    """Under torchrun, go on in the first process and end the others, for one run trains in one process. They end with
    code 0, because torchrun adds a traceback to any other."""
    world = os.environ.pop("WORLD_SIZE", "")
    if world in ("", "0", "1"):
        return
    if os.environ.get("RANK", "0") != "0":
        sys.exit()
    print(
        f"rpt: One run trains in one process, so only the first of torchrun's {world} goes on. To use all GPUs, "
        "start a sweep without torchrun: python -m rpt.train -m hydra/launcher=packed lr=0.1,0.3",
        file=sys.stderr,
    )


def _end_sweep() -> None:
    from rpt.training.sweep.outcomes import end_sweep  # slow to import

    if status := end_sweep([job._return_value for job in SWEPT.values()]):
        sys.exit(status)


class _CallableModule(ModuleType):
    """`rpt.train` is this module, for `python -m rpt.train` is the command; from Python it is called."""

    def __call__(self, *overrides: str, **choices: str) -> Run:
        """As `rpt.api.train`."""
        from rpt.api import train as train_prompt

        return train_prompt(*overrides, **choices)


sys.modules[__name__].__class__ = _CallableModule

if __name__ == "__main__":
    main()
