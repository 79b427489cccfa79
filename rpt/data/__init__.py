"""Rows, splits, tokens, batches."""

from rpt.config import Config, TaskConfig
from rpt.errors import UsageError
from rpt.tasks import TASKS, Task, get_task
from rpt.tasks.custom import CustomTask, make_task


def task_for(config: Config) -> Task:
    """The run's task under its protocol, for backbones of its family.

    Raises:
        ValueError: there is no task or no protocol of that name.
        UsageError: a custom task is not declared correctly, or an encoder cannot choose its answers.
    """
    name, family, protocol = config.task.name, config.backbone.family, config.protocol.name
    task = _declare(config.task, protocol) if config.task.fields else get_task(name, family, protocol)
    if family == "bert" and not task.head_outputs:
        raise UsageError(
            f"An encoder chooses among labels, and {name} has none; give task.labels=[...], or a T5 or decoder."
        )
    return task


def _declare(task: TaskConfig, protocol: str) -> CustomTask:
    if task.name in TASKS:
        raise UsageError(f"task.name={task.name} is a built-in task; give yours another name.")
    lists = (tuple(task.fields), tuple(task.labels), tuple(task.words))
    values = (task.answer, task.metric, task.template, task.hub_config, task.max_answer_tokens, task.shared_text)
    try:
        return make_task(task.name, *lists, *values, protocol)
    except ValueError as error:
        raise UsageError(f"{error}.") from error
