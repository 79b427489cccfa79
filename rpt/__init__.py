"""Residual Prompt Tuning, reproduced on SuperGLUE. `python -m rpt` lists the commands; `rpt.train`, `rpt.load` and
`rpt.load_runs` are there from Python (rpt/api.py)."""

from typing import Any


def __getattr__(name: str) -> Any:
    """What is looked up when it is asked for: no command has to wait for it.

    Raises:
        AttributeError: there is no such thing.
    """
    from importlib import import_module

    if name == "__version__":
        from importlib.metadata import PackageNotFoundError, version

        try:
            return version("rpt")
        except PackageNotFoundError:  # a checkout that is not installed
            return "unknown"
    if name in ("train", "metrics"):  # modules; `rpt.train` can be called
        return import_module(f"rpt.{name}")
    if name == "load":
        return import_module("rpt.api").load
    if name == "load_runs":
        return import_module("rpt.reports.frame").load_runs
    raise AttributeError(f"module 'rpt' has no attribute {name!r}")
