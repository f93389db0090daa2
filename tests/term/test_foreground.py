from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import termios

import pytest

from sockkit.term.foreground import in_background
from tests.support import WAIT

# A session leader whose child is a job of its own, in the background and then not.
JOB = """
import os, sys
from sockkit.term.foreground import in_background
print(in_background(0))
reader, writer = os.pipe()
if not os.fork():
    os.setpgid(0, 0)
    print(in_background(0), flush=True)
    os.write(writer, b".")
    os._exit(0)
os.read(reader, 1)
"""


@pytest.mark.process
def test_only_another_jobs_terminal_counts() -> None:
    person, child = os.openpty()
    try:
        done = subprocess.run(
            [sys.executable, "-u", "-c", JOB], stdin=child, capture_output=True, text=True,
            start_new_session=True, timeout=WAIT,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )  # fmt: skip
        assert (done.stdout, done.stderr) == ("False\nTrue\n", "")
        assert not in_background(child)  # that does not control us
    finally:
        os.close(person)
        os.close(child)


def test_what_is_no_terminal_is_nobodys() -> None:
    reader, writer = os.pipe()
    assert not in_background(reader)
    os.close(reader)
    os.close(writer)
    assert not in_background(reader)
