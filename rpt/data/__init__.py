"""Rows, splits, tokens, batches."""

from rpt.config import Config
from rpt.errors import UsageError
from rpt.tasks import TASKS, Task, get_task
from rpt.tasks.custom import make_task


def task_for(config: Config) -> Task:
    """The run's task under its protocol, for backbones of its family.

    Raises:
        ValueError: there is no task or no protocol of that name.
        UsageError: a custom task is not declared correctly.
    """
    task = config.task
    if task.fields:
        if task.name in TASKS:
            raise UsageError(f"task.name={task.name} is a built-in task; give yours another name.")
        if not task.labels and config.backbone.family == "bert":
            raise UsageError("An encoder chooses among labels; give task.labels=[...], or a T5 or decoder.")
        lists = (tuple(task.fields), tuple(task.labels), tuple(task.words))
        values = (task.answer, task.metric, task.template, task.hub_config, task.max_answer_tokens, task.shared_text)
        try:
            return make_task(task.name, *lists, *values, config.protocol.name)
        except ValueError as error:
            raise UsageError(f"{error}.") from error
    return get_task(task.name, config.backbone.family, config.protocol.name)
