"""Hydra's complaints in one line each, with the choices there are or the nearest key."""

from __future__ import annotations

import difflib
import re
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from hydra.errors import HydraException, MissingConfigException
from omegaconf.errors import OmegaConfBaseException

from rpt.config.compose import known_keys
from rpt.errors import ONE_LINE, UsageError


@contextmanager
def explained_mistakes() -> Iterator[None]:
    """What Hydra refuses inside becomes a UsageError, also where Hydra raises no error of its own kind.

    Raises:
        UsageError: Hydra could not compose the configuration, or not make its folders.
    """
    try:
        yield
    except ONE_LINE:
        raise
    except (HydraException, OmegaConfBaseException) as error:
        raise UsageError(explain(error)) from error
    except (ValueError, TypeError, OSError) as error:
        if _raised_by_hydra(error):
            raise UsageError(explain(error)) from error
        raise


def _raised_by_hydra(error: Exception) -> bool:
    """Whether the innermost code that is no standard library's is Hydra's, and not what it called."""
    frames = traceback.walk_tb(error.__traceback__)
    packages = [frame.f_globals.get("__name__", "").partition(".")[0] for frame, _ in frames]
    packages = [package for package in packages if package not in sys.stdlib_module_names]
    return bool(packages) and packages[-1] in ("hydra", "omegaconf")


def explain(error: Exception) -> str:
    """One line for what went wrong when a configuration was composed."""
    if isinstance(error, MissingConfigException) and error.options:
        choices = [option for option in error.options if option != "schema"]
        group, _, choice = error.missing_cfg_file.rpartition("/")
        return f"There is no {group}={choice}; choose one of: {', '.join(choices)}."
    causes: list[BaseException] = [error]
    while causes[-1].__cause__ is not None:
        causes.append(causes[-1].__cause__)
    text = ": ".join(dict.fromkeys(str(cause).split("\n")[0] for cause in causes))
    wrong = re.search(r"(?:Could not override|Key) '([\w.]+)'", text)
    if not wrong:
        return f"{text.rstrip('.!')}. --help lists all keys."
    keys = known_keys()
    if wrong[1] in keys:
        group, _, _ = wrong[1].partition(".")
        return f"{wrong[1]} is no key of the chosen {group}; {group}=CHOICE --help lists the keys of a choice."
    near = difflib.get_close_matches(wrong[1], keys, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]}?" if near else "--help lists all keys."
    return f"There is no key {wrong[1]}; {hint}"
