"""Modules of the user's own. Their reparameterizations register themselves, their tasks are added to ours."""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Iterable
from pathlib import Path

from rpt.errors import UsageError, first_line
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
            place = traceback.extract_tb(error.__traceback__)[-1]
            raise UsageError(
                f"plugins=[{name}] cannot be imported: {type(error).__name__}: {first_line(error)} "
                f"({place.filename}, line {place.lineno}); mend the module."
            ) from error
        try:
            add_tasks(module)
        except ValueError as error:
            raise UsageError(f"plugins=[{name}]: {error}.") from error
