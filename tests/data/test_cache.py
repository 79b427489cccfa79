"""The cache of tokenised rows: damaged entries are made again, a folder that cannot be written is logged once."""

import errno
import logging
import os

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rpt.data import cache as cache_module
from rpt.data.cache import cached

ARRAYS = {"ids": np.arange(12, dtype=np.int32), "ends": np.array([5, 12])}


@pytest.fixture(autouse=True)
def nothing_said():
    cache_module.warn_once.cache_clear()


def same(arrays):
    return set(arrays) == set(ARRAYS) and all(np.array_equal(arrays[name], ARRAYS[name]) for name in ARRAYS)


def made():
    raise AssertionError("it was made again")


def test_an_entry_is_made_once_and_follows_what_it_is_made_of(tmp_path):
    assert same(cached(tmp_path / "new", [1, "a"], lambda: ARRAYS))
    assert same(cached(tmp_path / "new", [1, "a"], made))
    with pytest.raises(AssertionError, match="made again"):
        cached(tmp_path / "new", [1, "b"], made)


@settings(max_examples=60, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_damage_is_found_and_mended(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("cache")
    cached(folder, [1], lambda: ARRAYS)
    (path,) = folder.iterdir()
    whole = path.read_bytes()
    if data.draw(st.booleans()):
        bit = data.draw(st.integers(0, 8 * len(whole) - 1))
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
    else:
        damaged = whole[: data.draw(st.integers(0, len(whole) - 1))]
    path.write_bytes(damaged)
    assert same(cached(folder, [1], lambda: ARRAYS)) and path.read_bytes() == whole


def test_damage_is_said_once(tmp_path, caplog):
    cached(tmp_path, [1], lambda: ARRAYS)
    (path,) = tmp_path.iterdir()
    with caplog.at_level(logging.WARNING, "rpt"):
        for _ in range(2):
            path.write_bytes(b"")
            cached(tmp_path, [1], lambda: ARRAYS)
    assert [record.message for record in caplog.records] == [f"{path} is damaged; its rows are tokenised again."]


def test_an_entry_under_another_name_is_damaged(tmp_path):
    for made_of in (1, 2):
        cached(tmp_path, [made_of], lambda: ARRAYS)
    one, other = tmp_path.iterdir()
    one.write_bytes(other.read_bytes())
    with pytest.raises(AssertionError, match="made again"):
        [cached(tmp_path, [made_of], made) for made_of in (1, 2)]


@pytest.mark.parametrize("kind", ["file", "null", "long", "full", "entry"])
def test_a_folder_that_cannot_be_used_is_done_without(tmp_path, monkeypatch, caplog, kind):
    folder = {"file": tmp_path / "file", "null": tmp_path / "a\0b", "long": tmp_path / ("x" * 300)}.get(kind, tmp_path)
    (tmp_path / "file").write_text("not a folder")

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device", "/a/name/that/differs/every/time")

    if kind == "full":
        monkeypatch.setattr(os, "fsync", full)
    if kind == "entry":  # a folder stands where the entry should
        cached(tmp_path, [1], lambda: ARRAYS)
        (entry,) = tmp_path.glob("*.tokens")
        entry.unlink()
        entry.mkdir()
    with caplog.at_level(logging.WARNING, "rpt"):
        for _ in range(2):
            assert same(cached(folder, [1], lambda: ARRAYS))
    (line,) = [record.message for record in caplog.records]
    assert line.startswith(f"data.cache={folder} cannot be used (") and "\n" not in line
