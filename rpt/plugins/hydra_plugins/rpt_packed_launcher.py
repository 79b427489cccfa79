"""`hydra/launcher=packed`: train the runs of a sweep together, as many at a time as share a backbone and a task.

Hydra finds it by the name of its folder, which rpt.train puts on the path.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Sequence

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn, JobStatus, configure_log, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict, read_write

from rpt.config import to_config


class PackedLauncher(Launcher):
    """Instead of calling the task once per job, hands all jobs' configurations to `train_in_processes`."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.loader, self.config = hydra_context.config_loader, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        # Slow, and Hydra imports this module for any command.
        from rpt.training.sweep.workers import count_processes, largest_pack, train_in_processes

        setup_globals()
        jobs = []
        for number, overrides in enumerate(job_overrides, start=initial_job_idx):
            cfg = self.loader.load_sweep_config(self.config, list(overrides))
            with open_dict(cfg):
                cfg.hydra.job.id, cfg.hydra.job.num = f"packed-{number}", number
            task_cfg = copy.deepcopy(cfg)
            with read_write(task_cfg), open_dict(task_cfg):
                del task_cfg["hydra"]
            jobs.append(JobReturn(overrides=overrides, cfg=task_cfg, hydra_cfg=cfg))
        set_up_log = functools.partial(configure_log, self.config.hydra.job_logging, self.config.hydra.verbose)
        set_up_log()
        configs = [to_config(job.cfg, job.hydra_cfg.hydra.overrides.task) for job in jobs]
        max_runs = largest_pack(configs)
        n_processes = count_processes(configs[0].pack.processes, len(configs))
        for job, outcome in zip(jobs, train_in_processes(configs, max_runs, n_processes, set_up_log), strict=True):
            job.status = JobStatus.FAILED if isinstance(outcome, Exception) else JobStatus.COMPLETED
            job.return_value = outcome  # Hydra raises it, once all jobs are over, if it is an exception
        configure_log(self.config.hydra.hydra_logging, self.config.hydra.verbose)
        return jobs


TARGET = {"_target_": f"{__name__}.{PackedLauncher.__name__}"}
ConfigStore.instance().store(group="hydra/launcher", name="packed", node=TARGET, provider="rpt")
