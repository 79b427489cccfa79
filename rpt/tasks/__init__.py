"""The SuperGLUE tasks (pure Python). Text formats, verbalizers, metrics. A new task is one more module in this
folder."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType

from rpt.tasks.base import PROTOCOLS, Task
from rpt.tasks.examples import Decision, Example, Prediction, Reading
from rpt.tasks.metrics import clean

TASKS: dict[str, type[Task]] = {}


def add_tasks(module: ModuleType) -> None:
    """Register every Task class that the module defines with a `name`.

    Raises:
        ValueError: another class is registered under the name, or the class lacks an attribute.
    """
    for cls in vars(module).values():
        if not (isinstance(cls, type) and issubclass(cls, Task) and "name" in vars(cls)):
            continue
        if lacking := [attribute for attribute in ("folder", "labels", "columns") if not hasattr(cls, attribute)]:
            raise ValueError(f"class {cls.__name__} has no {lacking[0]}; declare it, as rpt/tasks/cb.py does")
        if TASKS.setdefault(cls.name, cls) is not cls:
            raise ValueError(f"there is a task {cls.name} already; give {cls.__name__} another name")


for _module in iter_modules(__path__):
    add_tasks(import_module(f"{__name__}.{_module.name}"))


@cache
def get_task(name: str, family: str = "t5", protocol: str = "paper") -> Task:
    """The task under a protocol, for backbones of that family: an encoder ("bert") cannot generate text as a T5 does.

    Raises:
        ValueError: there is no task or no protocol of that name.
    """
    if name not in TASKS:
        raise ValueError(f"task {name!r} is unknown; there are {', '.join(TASKS)}")
    task = TASKS[name](protocol)
    return task.for_encoder() if family == "bert" else task
