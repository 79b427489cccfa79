"""What the commands have in common."""

import subprocess
import sys

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
