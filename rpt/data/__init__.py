"""Where rows come from, which of them train, choose and are reported, and how they become batches."""

from rpt.config import Config
from rpt.tasks import Task, get_task


def task_for(config: Config) -> Task:
    """The run's task, as backbones of its family are given it.

    Raises:
        ValueError: there is no task of that name.
    """
    return get_task(config.task.name, config.backbone.family)
