"""Where rows come from, which of them train, choose and are reported, and how they become batches."""

from rpt.config import Config
from rpt.errors import UsageError
from rpt.tasks import TASKS, Task, get_task
from rpt.tasks.own import make_task


def task_for(config: Config) -> Task:
    """The run's task under its protocol, as backbones of its family are given it.

    Raises:
        ValueError: there is no task or no protocol of that name.
        UsageError: one of one's own is not declared as it has to be.
    """
    own = config.task
    if own.fields:
        if own.name in TASKS:
            raise UsageError(f"task.name={own.name} is a task of ours; give yours another name.")
        if not own.labels and config.backbone.family == "bert":
            raise UsageError("An encoder chooses among labels; give task.labels=[...], or a T5 or decoder.")
        declared = (own.answer, own.metric, own.template, own.hub_config, own.max_answer_tokens, own.shared_text)
        lists = (tuple(own.fields), tuple(own.labels), tuple(own.words))
        try:
            return make_task(own.name, *lists, *declared, config.protocol.name)
        except ValueError as error:
            raise UsageError(f"{error}.") from error
    return get_task(config.task.name, config.backbone.family, config.protocol.name)
