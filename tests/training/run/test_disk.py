"""A disk that is full or read-only: one line, nothing is lost, and a finished record is still found."""

import errno
import os

import pytest
import torch
from filelock import FileLock
from safetensors.torch import load_file

from rpt.errors import NonFiniteLoss, UsageError
from rpt.records.run_folder import RunFolder
from rpt.train import train
from rpt.training.engine.pack import Pack
from rpt.training.sweep.sweep import train_all

WORDS = ["task=cb", "prompt=vanilla", "prompt.length=3", "data.shots=4", "trainer.max_steps=2", "trainer.eval_every=9"]
WORDS += ["backbone.max_tokens=48", "trainer.eval_batch_size=256"]


def fill_disk(monkeypatch, after=0):
    """Allow only so many more files."""
    left, sync = iter(range(after)), os.fsync

    def sync_or_fail(handle):
        if next(left, None) is None:
            raise OSError(errno.ENOSPC, "No space left on device")
        sync(handle)

    monkeypatch.setattr(os, "fsync", sync_or_fail)


def forbid_writing(monkeypatch):
    def refuse(*_, **__):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(FileLock, "acquire", refuse)
    monkeypatch.setattr(os, "fsync", refuse)


@pytest.mark.parametrize("after", [2, *(pytest.param(n, marks=pytest.mark.slow) for n in (0, 1, 3, 5))])
def test_a_full_disk_is_one_line_and_the_command_goes_on_when_there_is_room(
    configure, tiny, tmp_path, monkeypatch, after
):
    overrides = [*WORDS, tiny, "trainer.checkpoint_every=1"]
    train(configure(*overrides, f"results={tmp_path / 'room'}"))  # its rows are in the cache, too
    with monkeypatch.context() as patch:
        fill_disk(patch, after)
        with pytest.raises(UsageError, match=r"cannot be written \(No space left on device\); make room"):
            train(configure(*overrides))
    assert not list(tmp_path.glob("results/**/result.json")) and not list(tmp_path.rglob("*.tmp"))
    train(configure(*overrides))
    results = [next((tmp_path / name).rglob("predictions.json")) for name in ("room", "results")]
    assert results[0].read_bytes() == results[1].read_bytes()
    one, other = (load_file(path.with_name("prompt.safetensors")) for path in results)
    assert one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_a_finished_record_on_a_disk_that_cannot_be_written_is_found(configure, monkeypatch):
    score = train(configure(*WORDS))
    forbid_writing(monkeypatch)
    monkeypatch.setattr(Pack, "fit", None)
    assert train(configure(*WORDS)) == score
    for overrides in (["force=true"], ["seed=1"]):
        with pytest.raises(UsageError, match=r"results=.* cannot be written \(Read-only file system\); give results="):
            train(configure(*WORDS, *overrides))


def test_a_failure_that_cannot_be_recorded_ends_as_any_other(configure, monkeypatch, tmp_path):
    def write_nothing(*_):
        raise UsageError("no room")

    monkeypatch.setattr(RunFolder, "write_result", write_nothing)
    bad, good = train_all([configure(*WORDS, *each) for each in (["lr=1e30", "trainer.max_steps=6"], ["seed=1"])], 1)
    assert isinstance(bad, NonFiniteLoss) and isinstance(good, UsageError)
    assert not list(tmp_path.rglob("result.json"))
