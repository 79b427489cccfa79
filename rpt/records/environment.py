"""What a record's numbers were made with."""

from __future__ import annotations

import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = ("rpt", "torch", "transformers", "tokenizers", "datasets", "hydra-core", "numpy")


def environment() -> dict[str, Any]:
    """The versions of python and the libraries, and the code's commit."""
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = "not installed"
    return {"versions": versions, "commit": _commit()}


def _commit() -> str | None:
    """The checkout's commit, with "+changes" where tracked files differ from it; None outside a checkout."""

    def git(*options: str) -> str:
        done = subprocess.run(["git", *options], cwd=Path(__file__).parent, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    try:
        return git("rev-parse", "HEAD") + ("+changes" if git("status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.CalledProcessError):
        return None
