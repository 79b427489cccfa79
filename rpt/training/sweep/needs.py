"""What a sweep needs, checked before its runs are composed: there may be hundreds, and the hub may be away."""

from __future__ import annotations

import itertools
import logging
import shutil
from collections.abc import Iterable, Iterator, Sequence

from omegaconf import DictConfig, OmegaConf

from rpt.config import Config, compose, hub_repos, to_config
from rpt.config.grids import axes_of
from rpt.config.mistakes import parse_overrides
from rpt.errors import UsageError
from rpt.hub import require_repos
from rpt.tasks import TASKS

log = logging.getLogger("rpt")
PLACES = (  # the keys that say where backbone and rows come from
    "scale", "backbone", "backbone.path", "backbone.hub", "data", "data.name", "data.dir", "data.repo", "task",
    "task.train",
)  # fmt: skip


def check_sweep(overrides: Sequence[str]) -> None:
    """Refuse a sweep if a run of it would find no rows, no backbone or no Slurm. Only runs that differ in these are
    composed.

    Args:
        overrides: of the command, without flags.

    Raises:
        UsageError: naming what is not there, and the remedy.
    """
    parsed = parse_overrides([each for each in overrides if "=" in each])
    lines = {each.key_or_group: str(each.input_line) for each in parsed}
    swept_keys = {each.key_or_group for each in parsed if each.is_sweep_override()}
    shared = {key: line for key, line in lines.items() if key not in swept_keys}
    cfg = compose("train", list(shared.values()), with_hydra=True)
    check_launcher(cfg)
    warn_of_idle_packs(cfg, lines)
    grid = OmegaConf.select(cfg, "hydra.sweeper.params") or {}
    swept = {str(key): f"{key}={value}" for key, value in grid.items() if key not in shared}
    swept |= {key: lines[key] for key in swept_keys}
    fixed = [line for key, line in shared.items() if not key.startswith("hydra")]
    configs = list(_places(fixed, [line for key, line in swept.items() if key in PLACES]))
    if any(config.data.name == "folder" and config.data.dir is None for config in configs):
        raise UsageError(
            "Rows are missing (data=folder, as in scale=laptop); give data.dir=FOLDER, with BoolQ/train.jsonl etc."
        )
    require_repos(sorted({repo for config in configs for repo in hub_repos(config).items()}))


def _places(fixed: list[str], swept: list[str]) -> Iterator[Config]:
    """A configuration for each combination of where backbone and rows come from."""
    axes = axes_of(tuple(swept))
    if "task" in axes:  # SuperGLUE's tasks lie side by side: one stands for them
        builtin = [task for task in axes["task"] if task in TASKS]
        axes = axes | {"task": (*builtin[:1], *(task for task in axes["task"] if task not in builtin))}
    for point in itertools.product(*axes.values()):
        yield to_config(compose("train", [*fixed, *map("=".join, zip(axes, point, strict=True))]))


def warn_of_idle_packs(cfg: DictConfig, keys: Iterable[str]) -> None:
    """Say that keys of packs do nothing under another launcher."""
    if not str(OmegaConf.select(cfg, "hydra.launcher._target_")).endswith(".PackedLauncher"):
        for key in sorted({"pack.max_runs", "pack.processes", "pack.on"} & set(keys)):
            log.warning("%s changes nothing without hydra/launcher=packed: each run trains alone.", key)


def check_launcher(cfg: DictConfig) -> None:
    """Refuse Slurm where there is none: submitit says so in a traceback.

    Args:
        cfg: composed, with Hydra's own node.

    Raises:
        UsageError: there is no srun.
    """
    asked = None
    if str(OmegaConf.select(cfg, "hydra.launcher._target_")).endswith(".SlurmLauncher"):
        asked = f"hydra/launcher={cfg.hydra.runtime.choices['hydra/launcher']}"
    elif cfg.pack.on == "slurm":
        asked = "pack.on=slurm"
    if asked and shutil.which("srun") is None:
        raise UsageError(
            f"{asked} hands the runs to Slurm, and this machine has no srun; start it where Slurm is, or take "
            "hydra/launcher=packed with pack.on=here."
        )
