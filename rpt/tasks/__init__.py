"""The SuperGLUE tasks: text formats, verbalizers, metrics. A new task is one more module in this folder."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from rpt.tasks.base import PROTOCOLS, Task
from rpt.tasks.examples import Decision, Example, Reading
from rpt.tasks.metrics import clean

__all__ = ["PROTOCOLS", "TASKS", "Decision", "Example", "Reading", "Task", "clean", "get_task"]


def _discover() -> dict[str, Task]:
    """An instance of every Task that a module of this package defines under a name of its own, by that name."""
    modules = [import_module(f"{__name__}.{module.name}") for module in iter_modules(__path__)]
    found = [
        thing
        for module in modules
        for thing in vars(module).values()
        if isinstance(thing, type) and issubclass(thing, Task) and "name" in vars(thing)
    ]
    return {task.name: task() for task in found}


TASKS: dict[str, Task] = _discover()


def get_task(name: str, family: str = "t5") -> Task:
    """The task as backbones of that family are given it: an encoder ("bert") cannot write what a T5 writes.

    Raises:
        ValueError: there is no task of that name.
    """
    if name not in TASKS:
        raise ValueError(f"task {name!r} is unknown; there are {', '.join(TASKS)}")
    return TASKS[name].for_encoder() if family == "bert" else TASKS[name]
