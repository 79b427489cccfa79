"""Hydra as `python -m rpt.train` uses it: what we change of it, its flags, its help. Nothing happens on import."""

from __future__ import annotations

import math
import os
import sys
from pathlib import Path
from string import Template
from typing import NoReturn

from hydra._internal.utils import get_args_parser
from hydra.conf import HydraConf
from hydra.core.utils import JobReturn
from hydra.types import RunMode
from omegaconf import OmegaConf

from rpt.config.choices import use_config_folder
from rpt.config.compose import compose, register, register_resolvers, to_config
from rpt.errors import UsageError

MULTIRUN = ("-m", "--multirun")
HELP = ("-h", "--help")
SWEPT: dict[int, JobReturn] = {}  # the jobs of a sweep, as its sweeper comes to them
PLUGINS = str(Path(__file__).parents[1] / "plugins")  # of hydra_plugins, in which Hydra looks for launchers


def set_up() -> None:
    """Change Hydra for this process: our choices and launchers are there, and errors reach us as they were raised."""
    register()
    SWEPT.clear()
    if PLUGINS not in sys.path:
        sys.path.append(PLUGINS)
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # it raises then instead of printing, and we say it in one line
    JobReturn.return_value = JobReturn.return_value.getter(_outcome)  # type: ignore[method-assign,attr-defined]


def _outcome(job: JobReturn) -> float:
    """Of a job, without the line that Hydra writes before it raises. A sweep's jobs are kept, and a failed one is NaN
    to its sweeper, so that this comes to all of them."""
    if job.hydra_cfg.hydra.mode == RunMode.MULTIRUN:
        SWEPT[id(job)] = job
        return math.nan if isinstance(job._return_value, Exception) else job._return_value
    if isinstance(job._return_value, Exception):
        raise job._return_value
    return job._return_value


def set_up_job(hydra: HydraConf) -> None:
    """Let a job that a launcher runs in another process compose what the command composes: the resolvers, and the
    choices of the user's folder."""
    register_resolvers()
    for source in hydra.runtime.config_sources:
        if source.provider == "command-line":
            use_config_folder(source.path)


def check_flags() -> None:
    """Refuse what Hydra would end with the whole of its usage, and the flag that would unpickle a file.

    Raises:
        UsageError: naming the argument.
    """
    parser = get_args_parser()

    def refuse(message: str) -> NoReturn:
        raise UsageError(f"{message}; --help shows what there is.")

    parser.error = refuse  # type: ignore[method-assign]  # what argparse offers beside leaving the process
    if parser.parse_args().experimental_rerun is not None:
        raise UsageError("--experimental-rerun reads a pickle, which may run any code; give its overrides instead.")


def help_text(overrides: list[str]) -> str:
    """What --help prints: the template in train.yaml, with the configuration that the overrides give.

    Hydra prints the same if further flags stand beside --help, but takes a second for lists that the template leaves
    out.

    Raises:
        HydraException: an override names no key or no choice.
        UsageError: the same of one with a plus, which Hydra takes.
    """
    template = compose("train", overrides, with_hydra=True).hydra.help.template
    composed = compose("train", overrides)
    to_config(composed, overrides)
    return Template(template).safe_substitute(CONFIG=OmegaConf.to_yaml(composed, resolve=True))
