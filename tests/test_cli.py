"""What the commands have in common."""

import itertools
import os
import re
import subprocess
import sys
from dataclasses import dataclass

import pytest

from rpt.cli import argument, one_line_errors, read_arguments, required, split_config_dir
from rpt.config.hydra_app import without_dashes
from rpt.errors import UsageError
from rpt.plan import PlanArguments
from rpt.reports.frame import load_runs
from rpt.results import ResultsArguments, make_tables
from rpt.training.sweep.preflight import check
from tests.conftest import ROOT
from tests.processes import run_and_list_imports, start
from tests.reports.conftest import write_record

MANY_LINES = """
from rpt.cli import one_line_errors

with one_line_errors():
    for _ in range(100_000):
        print("a line")
"""


def test_a_reader_that_has_seen_enough_is_no_error():
    command = subprocess.Popen([sys.executable, "-c", MANY_LINES], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert command.stdout.readline() == b"a line\n"
    command.stdout.close()
    assert command.wait(60) == 1 and command.stderr.read() == b""
    command.stderr.close()


def test_ctrl_c_ends_without_a_traceback():
    with pytest.raises(SystemExit, match="130"), one_line_errors():
        raise KeyboardInterrupt


@dataclass
class Arguments:
    run: str = required("FOLDER")
    backbone_path: str | None = argument("backbone.path", None)
    rows: int = 64
    force: bool = False


def test_arguments_have_the_types_of_their_class():
    arguments = ["run=a=b", "backbone.path=", "rows=7", "force=True"]
    assert read_arguments(Arguments, arguments) == Arguments("a=b", "", 7, True)
    for text in ("${x}", "1e5", "null", "2026-01-01", "a: b", "[x]", "it's"):  # a file may be called so
        assert read_arguments(Arguments, [f"run={text}"]) == Arguments(text)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ruhn=a"], "There is no key ruhn; did you mean run?"),
        (["backbone_path=a", "run=a"], "There is no key backbone_path; did you mean backbone.path?"),
        (["xyz=1"], "There is no key xyz; there are run, backbone.path, rows, force."),
        (["run"], "run is not of the form key=value"),
        ([], "Give run=FOLDER."),
        (["run=a", "rows=many"], "rows=many should be a whole number"),
        (["run=a", "force=yes"], "force=yes should be true or false"),
    ],
)
def test_a_mistake_is_named_with_the_key_that_one_types(arguments, message):
    with pytest.raises(UsageError, match=re.escape(message)):
        read_arguments(Arguments, arguments)


def test_help_and_mistakes_need_no_slow_library():
    commands = itertools.product(
        ("predict", "export", "publish", "results", "plan"), (["--help"], ["rnu=x", "scale=nano"])
    )
    of_train = (["--help"], ["lrr=0.1"], ["task=boolqq"], ["prompt.length=9999"], ["-m", "lrr=1,2"])
    for arguments, done in run_and_list_imports(*commands, *itertools.product(["train"], of_train)):
        assert done.stdout.splitlines()[-1] == "imported set()", done
        assert ("code 2" in done.stdout) == bool(done.stderr) == (arguments != ["--help"]), done
        assert done.stderr.count("\n") == bool(done.stderr), done


@pytest.mark.slow
def test_what_needs_no_computing_needs_no_slow_library(tmp_path, monkeypatch):
    """A missing record, a plan with nothing to run, and a hub that is away: a sweep asks before it is composed."""
    for name, value in (("HF_HUB_OFFLINE", "1"), ("HF_HOME", str(tmp_path))):
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(ROOT)
    said = [
        ("predict", ["run=missing"], "run=missing is no run's record"),
        ("predict", ["run=missing", "input=rows.jsonl"], "input=rows.jsonl cannot be read"),
        ("export", ["run=missing", "to=adapter"], "run=missing is no run's record"),
        ("plan", ["table6", "scale=mini"], "table6           6         6       0"),
        ("plan", ["table6"], "its cache here has no dataset aps/super_glue"),
        ("train", ["task=cb"], "its cache here has no dataset aps/super_glue"),
        ("train", ["-m", "+experiment=table1"], "its cache here has no dataset aps/super_glue"),
    ]
    ended = run_and_list_imports(*(command for *command, _ in said))
    for (*_, message), (_, done) in zip(said, ended, strict=True):
        assert message in done.stdout + done.stderr, done
        assert done.stdout.splitlines()[-1] == "imported set()" and "[HYDRA]" not in done.stdout, done


STREAMS = """
import os, sys
from rpt.cli import one_line_errors
from rpt.streams import takes_any_letter

with one_line_errors():
    print("50.0 \u00b1 1.0")
    print("50.0 \u00b1 1.0", file=sys.stderr)
    with open("record", "w") as record:
        os.write(1, b"said by a library")
        record.write(f"{sys.stdin.read()!r} {takes_any_letter()}")
"""


@pytest.mark.parametrize("closed", ["", ">&-", "2>&-", "<&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1"])
def test_no_stream_of_a_shell_ends_a_command_or_gets_into_a_file(tmp_path, closed, encoding):
    variables = {"PYTHONIOENCODING": encoding, "PYTHONPATH": str(ROOT)}
    command = f'"$PYTHON" -c "$CODE" {closed}'
    environment = os.environ | variables | {"PYTHON": sys.executable, "CODE": STREAMS}
    where = {"cwd": tmp_path, "env": environment, "stdin": subprocess.DEVNULL}
    done = subprocess.run(["sh", "-c", command], capture_output=True, **where)
    assert done.returncode == 0, done
    assert (tmp_path / "record").read_text() == f"'' {encoding == 'utf-8' or '>&-' in closed.split()}"
    shown = {"utf-8": "±".encode(), "ascii": b"\\xb1", "latin-1": b"\xb1"}[encoding]
    assert done.stdout.startswith(b"50.0 " + shown) == (">&-" not in closed.split())


@pytest.mark.parametrize("value", ["", "1"])
def test_a_world_of_one_process_is_no_error(configure, monkeypatch, value):
    monkeypatch.setenv("WORLD_SIZE", value)
    check(configure("task=cb"))
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UsageError, match="One run trains in one process"):
        check(configure("task=cb"))


def test_words_may_have_dashes_as_wandb_agents_write_them():
    typed = ["-m", "--lr=0.1", "--prompt.length=5", "--config-dir=mine", "task=cb", "--help"]
    assert without_dashes(typed) == ["-m", "lr=0.1", "prompt.length=5", "--config-dir=mine", "task=cb", "--help"]


def test_a_tilde_is_the_home_even_if_the_shell_leaves_it(configure, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    config = configure("results='~/out'", "tracking.dir='~/wandb'")
    assert (config.results, config.tracking.dir) == (f"{tmp_path}/out", f"{tmp_path}/wandb")
    assert split_config_dir(["--config-dir=~/mine"]) == ([], f"{tmp_path}/mine")
    with pytest.raises(UsageError, match="--config-dir is given twice"):
        split_config_dir(["--config-dir=mine", "--config-dir", "theirs"])
    assert PlanArguments(results="~/out").results == f"{tmp_path}/out"
    write_record(tmp_path / "out", config)
    assert len(load_runs("~/out")) == 1
    make_tables(ResultsArguments("~/out", csv="~/all.csv"))
    assert (tmp_path / "all.csv").is_file() and (tmp_path / "out/summary.md").is_file()


@pytest.mark.parametrize("rank", ["0", "1"])
def test_under_torchrun_the_first_process_goes_on(tmp_path, rank):
    done = start("rpt.train", ["task=cb", "data=mini", "nothing=1"], tmp_path, WORLD_SIZE="2", RANK=rank).wait(60)
    assert done.returncode == (0 if rank == "1" else 2) and ("There is no key nothing" in done.stderr) == (rank == "0")
    assert ("only the first of torchrun's 2 goes on" in done.stderr) == (rank == "0")
