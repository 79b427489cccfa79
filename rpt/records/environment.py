"""Versions and commit."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path

from rpt.config.schema import Values

PACKAGES = ("rpt", "torch", "transformers", "tokenizers", "datasets", "hydra-core", "numpy")


def environment() -> Values:
    """The versions of python and the libraries, and the code's commit."""
    versions = {"python": platform.python_version()} | {package: _version(package) for package in PACKAGES}
    return {"versions": versions, "commit": _commit()}


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def _commit() -> str | None:
    """The commit of the checkout that tracks this file, with "+changes" where its tracked files differ from it; None
    where there is none, as when rpt is installed inside a checkout of something else, or git refuses to read it."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}

    def git(*options: str) -> str:
        command = ["git", "-C", str(Path(__file__).parent), *options]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.strip()

    try:
        git("ls-files", "--error-unmatch", Path(__file__).name)
        return git("rev-parse", "HEAD") + ("+changes" if git("status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.CalledProcessError):
        return None
