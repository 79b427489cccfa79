"""Fixtures that every test may use."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real rows (fewglue/, superglue/), beside the checkout or where RPT_SHARED says."""
    beside = Path(__file__).resolve().parents[1].parent / "shared"
    folder = Path(os.environ.get("RPT_SHARED", beside))
    if not folder.is_dir():
        pytest.skip("there is no folder of real rows beside the checkout, nor does RPT_SHARED name one")
    return folder
