"""`hydra/sweeper=optuna`: search with Optuna instead of training a grid; with any launcher, best with `packed`.

Hydra finds it by the name of its folder, which rpt.train puts on the path.
"""

from collections.abc import Sequence

from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from rpt.config.compose import to_values
from rpt.config.schema import SearchConfig
from rpt.errors import UsageError


class OptunaSweeper(Sweeper):
    """Asks for trials, lets the launcher train them, and tells what they score on held-out rows.

    Args:
        params: overrides, as in an experiment's file; those of the command come over them.
        trials: of each search.
        batch: trials of each search that are asked for at once: more tell less of one another, but fill the packs.
        seed: of the sampler.
        prune: whether a trial that stays below the others' median is given up.
    """

    config: DictConfig  # once it is set up
    launcher: Launcher

    def __init__(self, params: DictConfig, trials: int, batch: int, seed: int, prune: bool):
        self.params = to_values(params)
        self.trials, self.batch, self.seed, self.prune = trials, batch, seed, prune

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.loader, self.config = hydra_context.config_loader, config
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> list[JobReturn]:
        try:
            from rpt.training.sweep.search import Search, check_selection, split_overrides
        except ImportError as error:
            raise UsageError("hydra/sweeper=optuna needs optuna: pip install -e '.[search]'") from error

        if min(self.trials, self.batch) < 1:
            raise UsageError("hydra.sweeper.trials and hydra.sweeper.batch must be 1 or more.")
        parser = OverridesParser.create(config_loader=self.loader)
        points, space = split_overrides(
            parser.parse_overrides([*(f"{key}={value}" for key, value in self.params.items()), *arguments])
        )
        searches = [Search(fixed, space, self.seed, self.prune) for fixed in points]
        jobs: list[JobReturn] = []
        for done in range(0, self.trials, self.batch):
            asked = [(search, each) for search in searches for each in search.ask(min(self.batch, self.trials - done))]
            for _, each in asked:
                check_selection(self.loader.load_sweep_config(self.config, each.overrides))
            trained = self.launch([each.overrides for _, each in asked], len(jobs))
            for (search, each), job in zip(asked, trained, strict=True):
                search.tell(each, job)
            jobs += trained
            if all(isinstance(job._return_value, Exception) for job in trained):
                break  # what they have in common is wrong, and stays so
        for search in searches:
            search.show_best()
        return jobs

    def launch(self, trials: Sequence[list[str]], number: int) -> list[JobReturn]:
        """The jobs of the trials; two that are equal have one."""
        once = {tuple(overrides): overrides for overrides in trials}
        jobs = dict(zip(once, self.launcher.launch(list(once.values()), initial_job_idx=number), strict=True))
        for job in jobs.values():
            _ = job.return_value  # rpt.train counts it
        return [jobs[tuple(overrides)] for overrides in trials]


ConfigStore.instance().store(group="hydra/sweeper", name="optuna", node=SearchConfig, provider="rpt")
