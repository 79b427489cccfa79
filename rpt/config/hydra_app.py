"""What we change in Hydra, its flags, its help. Nothing happens on import."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable, Sequence, Set
from pathlib import Path
from string import Template
from typing import NoReturn

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.hydra import Hydra
from hydra._internal.utils import get_args_parser
from hydra.conf import HydraConf
from hydra.core.config_loader import ConfigLoader
from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn
from hydra.plugins.sweeper import Sweeper
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from rpt.config.choices import use_config_folder, user_folders
from rpt.config.compose import compose, register, register_resolvers, to_config, without_hydra
from rpt.config.validate import validate_settings
from rpt.errors import UsageError

MULTIRUN = ("-m", "--multirun")
HELP = ("-h", "--help")
COMPOSE_JOB: Callable[..., DictConfig] = ConfigLoaderImpl.load_sweep_config  # Hydra's, which takes a tenth of a second
GET_MODE = Hydra.get_mode  # composes all, as long as a job takes
COMPOSED: dict[tuple[str, ...], DictConfig] = {}  # jobs of a sweep that no launcher has taken yet, by their overrides
SWEPT: dict[int, JobReturn] = {}  # jobs of a sweep, in the order in which its sweeper reads their results
PLUGINS = str(Path(__file__).parents[1] / "plugins")  # contains hydra_plugins, where Hydra looks for launchers


def set_up() -> None:
    """Change Hydra for this process: add our choices and launchers, and let errors reach us as they were raised."""
    register()
    SWEPT.clear()
    if PLUGINS not in sys.path:
        sys.path.append(PLUGINS)
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # Hydra then raises errors, which we print in one line
    JobReturn.return_value = JobReturn.return_value.getter(_outcome)  # type: ignore[method-assign,attr-defined]
    Sweeper.validate_batch_is_legal = _compose_batch  # type: ignore[method-assign,assignment]
    ConfigLoaderImpl.load_sweep_config = _load_job  # type: ignore[method-assign,assignment]
    # Hydra copies the store for each composition, a sixth of its time, though it only reads copies of what is in it.
    ConfigStore.__deepcopy__ = lambda store, memo: store  # type: ignore[attr-defined]


def set_up_mode(flags: Set[str], overrides: Sequence[str]) -> None:
    """Let Hydra look for `hydra.mode` only where something may set it: an override, or a file that a flag names. Our
    own files do not, and Hydra composes all once more to look for it."""
    may_be_set = user_folders() or not flags <= set(MULTIRUN) or any("hydra." in each for each in overrides)
    Hydra.get_mode = GET_MODE if may_be_set else lambda *_, **__: None  # type: ignore[method-assign]


def _compose_batch(sweeper: Sweeper, batch: Sequence[Sequence[str]]) -> None:
    """Compose and check all jobs of a sweep, so that mistakes are found before the first one starts. Files and folders
    are not looked for: the jobs may run on other machines."""
    assert sweeper.hydra_context is not None and sweeper.config is not None
    loader = sweeper.hydra_context.config_loader
    COMPOSED.clear()
    COMPOSED.update({tuple(overrides): COMPOSE_JOB(loader, sweeper.config, list(overrides)) for overrides in batch})
    for overrides, job in COMPOSED.items():
        validate_settings(to_config(without_hydra(job), overrides))


def _load_job(loader: ConfigLoader, master_config: DictConfig, sweep_overrides: list[str]) -> DictConfig:
    """A job for a launcher in this process, which Hydra would compose a second time."""
    job = COMPOSED.pop(tuple(sweep_overrides), None)
    return COMPOSE_JOB(loader, master_config, sweep_overrides) if job is None else job


def _outcome(job: JobReturn) -> float:
    """The result of a job, without the line that Hydra prints before it raises. The jobs of a sweep are collected in
    SWEPT; a failed one gives NaN, so that the sweeper continues with the others."""
    if job.hydra_cfg is not None and job.hydra_cfg.hydra.mode == RunMode.MULTIRUN:
        SWEPT[id(job)] = job
        return math.nan if isinstance(job._return_value, Exception) else job._return_value
    if isinstance(job._return_value, Exception):
        raise job._return_value
    return job._return_value


def set_up_job(hydra: HydraConf) -> None:
    """Prepare a job that a launcher runs in another process to compose as the command does: with our resolvers and the
    choices of the user's folder."""
    register_resolvers()
    for source in hydra.runtime.config_sources:
        if source.provider == "command-line":
            use_config_folder(source.path)


def without_dashes(arguments: list[str]) -> list[str]:
    """The arguments, with `--lr=0.1`, as W&B's agents write it, as lr=0.1; Hydra's own flags stay."""
    flags = get_args_parser()._option_string_actions

    def is_key(argument: str) -> bool:
        name, equals, _ = argument.partition("=")
        return bool(equals) and name.startswith("--") and name not in flags

    return [each.removeprefix("--") if is_key(each) else each for each in arguments]


def check_flags() -> list[str]:
    """Refuse arguments for which Hydra would print its whole usage, and the flag that would unpickle a file. Returns
    the other arguments, which are overrides.

    Raises:
        UsageError: naming the argument.
    """
    parser = get_args_parser()

    def refuse(message: str) -> NoReturn:
        raise UsageError(f"{message}; --help shows what there is. Keys are written key=value: lr=0.1")

    parser.error = refuse  # type: ignore[method-assign]  # argparse calls it instead of exiting
    parsed = parser.parse_args()
    if parsed.experimental_rerun is not None:
        raise UsageError("--experimental-rerun reads a pickle, which may run any code; give its overrides instead.")
    overrides: list[str] = parsed.overrides
    return overrides


def help_text(overrides: list[str]) -> str:
    """The output of --help: the template in train.yaml, with the configuration of the overrides.

    Hydra prints the same, and does so if there are further flags, but spends a second on lists that the template does
    not show.

    Raises:
        HydraException: an override names an unknown key or choice.
        UsageError: the same for an override with a plus, which Hydra accepts.
    """
    template = compose("train", overrides, with_hydra=True).hydra.help.template
    composed = compose("train", overrides)
    to_config(composed, overrides)
    return Template(template).safe_substitute(CONFIG=OmegaConf.to_yaml(composed, resolve=True))
