"""Workers of joblib and submitit_local end with the command that started them, after a checkpoint."""

import os
import signal
import subprocess
import sys
import time

import pytest

COMMAND = """
import subprocess, sys
from rpt.training.sweep.launched import ending_with_workers
with ending_with_workers():
    subprocess.Popen([sys.executable, "-c", sys.argv[1]])
    print("started", flush=True)
    while True:
        input()
"""
WORKER = """
import signal, time
from pathlib import Path
from rpt.training.engine.signals import Interrupted, catch_signals
from rpt.training.sweep.launched import ending_with_command
signal.signal(signal.SIGTERM, signal.SIG_IGN)  # as submitit does
for run in range(2):
    try:
        with ending_with_command(), catch_signals(print) as caught:
            Path("running").write_text(str(run))
            while not caught:
                time.sleep(0.01)
            time.sleep(0.5)  # the step is finished
            Path("saved").write_text(f"{run} {len(caught)}")
            raise Interrupted(143)
    except BaseException:  # as loky does
        Path("went on").touch()
"""


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGKILL])
def test_workers_end_with_their_command(tmp_path, ending):
    environment = os.environ | {"TMPDIR": str(tmp_path / "tmp")}
    (tmp_path / "tmp").mkdir()
    how = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "cwd": tmp_path, "env": environment}
    command = subprocess.Popen([sys.executable, "-c", COMMAND, WORKER], **how)
    wait_for(tmp_path / "running")
    command.send_signal(ending)
    code = command.wait(60)
    if ending == signal.SIGTERM:  # which waits for them
        assert (tmp_path / "saved").exists() and not list((tmp_path / "tmp").iterdir())
    command.stdout.read()  # ends with the last process that can write to it
    assert code == (128 + ending if ending == signal.SIGTERM else -ending)
    assert (tmp_path / "saved").read_text() == "0 1" and not (tmp_path / "went on").exists()


def wait_for(path, seconds=120):
    deadline = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
