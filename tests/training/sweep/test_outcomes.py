"""The line that a sweep ends with, and its exit status; what is said of a run once and not once a run."""

import json
import logging
import math
import pickle

import pytest
import torch

from rpt.data.rows import warn_once
from rpt.errors import UsageError
from rpt.records.run_folder import RunFolder
from rpt.training.sweep.outcomes import RECORDED, SKIPPED, TRAINED, Score, end_sweep
from rpt.training.sweep.sweep import train_all


def line(total, trained=0, recorded=0, skipped=0, failed=0, missing=0):
    counts = f"{trained} trained, {recorded} recorded before, {skipped} skipped, {failed} failed, {missing} missing"
    return f"sweep of {total} runs: {counts}\n"


@pytest.mark.parametrize(
    ("outcomes", "status", "told", "error"),
    [
        ([(50.0, TRAINED), (60.0, RECORDED)], 0, line(2, trained=1, recorded=1), ""),
        ([UsageError("no rows"), (50.0, TRAINED)], 2, line(2, trained=1, failed=1), "rpt: no rows\n"),
        ([RuntimeError("a bug")], 1, line(1, failed=1), "RuntimeError: a bug\n"),
        (
            [UsageError("no rows"), UsageError("no file"), KeyError("x"), UsageError("no rows")],
            2,
            f"also failed: no file\nalso failed: KeyError: 'x'\n{line(4, failed=4)}",
            "rpt: no rows\n",
        ),
    ],
)
def test_a_sweep_ends_with_one_line(capsys, tmp_path, outcomes, status, told, error):
    outcomes = [each if isinstance(each, Exception) else Score(*each, tmp_path) for each in outcomes]
    outcomes = [each if isinstance(each, Exception) else pickle.loads(pickle.dumps(each)) for each in outcomes]
    assert end_sweep(outcomes) == status
    assert capsys.readouterr() == (told, error)


def test_a_run_whose_process_died_is_missing(capsys, tmp_path):
    """It is skipped while another process holds it, and after that only if its record is there."""
    outcomes = [Score(50.0, TRAINED, tmp_path / "mine"), Score(math.nan, SKIPPED, tmp_path / "theirs")]
    other = RunFolder(tmp_path / "theirs")
    assert other.claim() and end_sweep(outcomes) == 0
    assert capsys.readouterr().out == line(2, trained=1, skipped=1)
    other.release()
    assert end_sweep(outcomes) == 2
    out, err = capsys.readouterr()
    assert out == line(2, trained=1, missing=1) and err == (
        "rpt: the process that trained 1 of the runs has ended without their records; the same command goes on from "
        "here.\n"
    )


def test_what_becomes_of_each_run_is_known(configure, tiny, evaluate_few, tmp_path, caplog):
    """And that its epochs end before its steps is said once for all of them. The caller's random numbers go on."""
    generator = torch.get_rng_state()
    evaluate_few(8)
    warn_once.cache_clear()
    short = ["task=cb", tiny, "data.shots=2", "trainer.max_steps=150", "trainer.epochs=1"]
    configs = [configure(*short, f"seed={seed}") for seed in (0, 1)]
    with caplog.at_level(logging.WARNING, "rpt"):
        assert [outcome.how for outcome in train_all(configs)] == [TRAINED, TRAINED]
    assert [message for message in caplog.messages if "max_steps" in message] == [
        "trainer.max_steps=150 is not reached: 6 training rows and trainer.epochs=1 make 1 steps; give more epochs to "
        "train longer."
    ]
    assert torch.equal(generator, torch.get_rng_state())
    again = train_all(configs)
    assert [outcome.how for outcome in again] == [RECORDED, RECORDED]
    assert json.loads((again[0].folder / "result.json").read_text())["scores"]["score"] == again[0]
    holder = RunFolder(again[1].folder)
    assert holder.claim() and [outcome.how for outcome in train_all(configs)] == [RECORDED, SKIPPED]
    holder.release()
