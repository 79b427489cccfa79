"""Modules of the user's own. Their reparameterizations register themselves, their tasks are added to ours."""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Iterable
from pathlib import Path

from rpt.errors import UsageError, describe_error
from rpt.tasks import add_tasks


def load_plugins(names: Iterable[str]) -> None:
    """Import the modules, each once, from the current folder or Python's usual path.

    Raises:
        UsageError: there is no module of that name, or it cannot be imported.
    """
    for name in names:
        here = str(Path.cwd())
        if here not in sys.path:
            sys.path.insert(0, here)
        try:
            module = importlib.import_module(name)
        except Exception as error:  # a plugin may raise anything
            if isinstance(error, ModuleNotFoundError) and f"{name}.".startswith(f"{error.name}."):
                raise UsageError(
                    f"plugins=[{name}]: there is no module {name} below {here}; mine/prompts.py is mine.prompts."
                ) from error
            raise UsageError(
                f"plugins=[{name}] cannot be imported: {describe_error(error)} ({_find_place(error, here)}); "
                "mend the module."
            ) from error
        try:
            add_tasks(module)
        except ValueError as error:
            raise UsageError(f"plugins=[{name}]: {error}.") from error


def _find_place(error: Exception, here: str) -> str:
    """The last line of the user's modules that an error came through."""
    if isinstance(error, SyntaxError):  # no line of the module was run
        return f"{error.filename}, line {error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    place = ([frame for frame in frames if frame.filename.startswith(here)] or frames)[-1]
    return f"{place.filename}, line {place.lineno}"
