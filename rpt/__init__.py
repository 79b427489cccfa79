"""Residual Prompt Tuning, reproduced on SuperGLUE. `python -m rpt` lists the commands."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("rpt")
except PackageNotFoundError:  # a checkout that is not installed
    __version__ = "unknown"
