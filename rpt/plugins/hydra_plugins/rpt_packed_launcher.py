"""`hydra/launcher=packed`. It trains the runs of a sweep together, as many at a time as share a backbone and a task.

Hydra finds it by the name of its folder, which rpt.train puts on the path.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn, JobStatus, configure_log, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict

from rpt.config import Config, to_config
from rpt.config.compose import to_values, without_hydra
from rpt.config.validate import CHOICES, check_choice
from rpt.errors import UsageError


class PackedLauncher(Launcher):
    """Instead of calling the task once per job, trains all jobs' configurations in packs.

    Args:
        job: what each pack asks of the engine of pack.on: submitit's parameters, or the options of a Ray task.
        ray: the keys of ray.init.
    """

    def __init__(self, job: DictConfig, ray: DictConfig):
        self.job, self.ray = to_values(job), to_values(ray)

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.loader, self.config = hydra_context.config_loader, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        setup_globals()
        jobs, configs = [], []
        for number, overrides in enumerate(job_overrides, start=initial_job_idx):
            cfg = self.loader.load_sweep_config(self.config, list(overrides))
            with open_dict(cfg):
                cfg.hydra.job.id, cfg.hydra.job.num = f"packed-{number}", number
            task_cfg = without_hydra(cfg)
            jobs.append(JobReturn(overrides=overrides, cfg=task_cfg, hydra_cfg=cfg))
            configs.append(to_config(task_cfg, cfg.hydra.overrides.task))
        set_up_log = functools.partial(configure_log, self.config.hydra.job_logging, self.config.hydra.verbose)
        set_up_log()
        for job, outcome in zip(jobs, self.train(configs, set_up_log), strict=True):
            job.status = JobStatus.FAILED if isinstance(outcome, Exception) else JobStatus.COMPLETED
            job.return_value = outcome  # Hydra raises it, once all jobs are over, if it is an exception
        configure_log(self.config.hydra.hydra_logging, self.config.hydra.verbose)
        return jobs

    def train(self, configs: list[Config], set_up_log: Callable[[], None]) -> Sequence[object]:
        """The outcomes of the runs, trained where pack.on says."""
        # Slow, and Hydra imports this module for any command.
        from rpt.training.sweep.workers import count_processes, largest_pack, train_in_processes

        max_runs, pack = largest_pack(configs), configs[0].pack
        check_choice("pack.on", pack.on, CHOICES["pack.on"])
        if self.job and pack.on == "here":
            raise UsageError("hydra.launcher.job is for pack.on=local, slurm or ray; give one of them.")
        if self.ray and pack.on != "ray":
            raise UsageError("hydra.launcher.ray is for pack.on=ray; give that.")
        if pack.on == "here":
            return train_in_processes(configs, max_runs, count_processes(pack.processes, len(configs)), set_up_log)
        if pack.processes is not None:
            raise UsageError(f"pack.processes is for pack.on=here; with pack.on={pack.on} each pack is a job.")
        from rpt.training.sweep.jobs import open_engine, split_into_packs, train_in_jobs

        packs = split_into_packs(configs, max_runs)
        folder = Path(self.config.hydra.sweep.dir, "jobs").absolute()
        engine = open_engine(pack.on, self.job, self.ray, folder, len(packs))
        return train_in_jobs(configs, packs, engine, set_up_log)


def any_keys() -> DictConfig:
    """A node that takes any key without a plus: the engine knows which there are."""
    return OmegaConf.create({}, flags={"struct": False})


TARGET = {"_target_": f"{__name__}.{PackedLauncher.__name__}", "job": any_keys(), "ray": any_keys()}
ConfigStore.instance().store(group="hydra/launcher", name="packed", node=TARGET, provider="rpt")
