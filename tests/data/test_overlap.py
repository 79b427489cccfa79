"""Validation rows that are also training rows: some are counted, all are refused."""

import logging

import pytest

from rpt.data.overlap import check_overlap
from rpt.data.rows import warn_once
from rpt.errors import UsageError
from rpt.tasks import Example, get_task
from rpt.training.run.loader import Loader
from tests.data.test_form import passages

BOOLQ = get_task("boolq")


@pytest.fixture(autouse=True)
def nothing_said_before():
    warn_once.cache_clear()


def warnings_of(caplog):
    return [record.message for record in caplog.records if "are also training rows" in record.message]


def test_some_are_counted_once_whatever_their_labels(caplog):
    train, val = passages(20), [*passages(3, label=lambda i: 1 - i % 2), *passages(5, seed=1)]
    for _ in range(2):
        check_overlap(BOOLQ, train, val)
    (line,) = warnings_of(caplog)
    assert line.startswith("boolq: 3 of 8 validation rows are also training rows") and "\n" not in line
    caplog.clear()
    check_overlap(BOOLQ, train, passages(5, seed=1))
    check_overlap(
        BOOLQ, [Example({"passage": "a", "question": "b"}, 0)], [Example({"passage": "b", "question": "a"}, 0)]
    )
    assert not caplog.records


def test_all_are_refused():
    with pytest.raises(UsageError, match="boolq: all 5 validation rows are also training rows.*give other rows"):
        check_overlap(BOOLQ, passages(20), passages(5))


def test_a_sweep_of_such_rows_is_refused_or_warned_once(configure, shared, tmp_path, caplog):
    """Real rows from a folder; runs with other shots read them only once."""
    (tmp_path / "CB").mkdir()
    train, val = (tmp_path / "CB" / f"{split}.jsonl" for split in ("train", "val"))
    rows = (shared / "superglue/CB/train.jsonl").read_text().splitlines(keepends=True)
    train.write_text("".join(rows))
    val.write_text("".join(rows[:9]))
    overrides = ["task=cb", "data=folder", f"data.dir={tmp_path}"]
    with pytest.raises(UsageError, match="cb: all 9 validation rows"):
        Loader().rows(configure(*overrides))
    with val.open("a") as file:
        file.write((shared / "superglue/CB/val.jsonl").read_text())
    with caplog.at_level(logging.WARNING, "rpt"):
        sweep = Loader()
        for loader, shots in ((sweep, 2), (sweep, 4), (Loader(), 4)):
            assert loader.rows(configure(*overrides, f"data.shots={shots}")).report
    assert [line[:19] for line in warnings_of(caplog)] == ["cb: 9 of 65 validat"]
