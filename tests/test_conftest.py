"""What conftest.py promises: the same surroundings under every parent, and unit tests alone."""

from __future__ import annotations

import locale
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.conftest import DESCRIPTORS
from tests.support import WAIT

# A parent that leaves its children as little as it can.
HOSTILE = """
import os, resource, signal, sys
os.environ.update(LC_ALL="nowhere", PYTHONIOENCODING="ascii", TERM="dumb")
os.environ.update(NO_COLOR="1", SOCKKIT_X="1", COLUMNS="7")
for number in set(range(1, 32)) - {signal.SIGKILL, signal.SIGSTOP, signal.SIGXFSZ}:
    signal.signal(number, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGCHLD})
os.umask(0o77)
resource.setrlimit(resource.RLIMIT_NOFILE, (64, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
os.close(0)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


def test_the_surroundings_are_as_tests_need_them() -> None:
    ignored = [n for n in signal.valid_signals() if signal.getsignal(n) is signal.SIG_IGN]
    assert set(ignored) <= {signal.SIGPIPE, signal.SIGXFSZ}
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == set()
    assert os.umask(0o022) == 0o022
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] >= DESCRIPTORS
    assert locale.getlocale(locale.LC_CTYPE)[1] == "UTF-8"
    assert {name for name in os.environ if name.startswith(("SOCKKIT_", "NO_"))} == set()
    assert os.environ["TERM"] == "xterm"
    assert sys.stdin.encoding == "utf-8"
    assert not {"PYTHONIOENCODING", "COLUMNS"} & set(os.environ)


@pytest.mark.process
def test_they_are_so_under_every_parent() -> None:
    test = f"{__file__}::{test_the_surroundings_are_as_tests_need_them.__name__}"
    done = subprocess.run(
        [sys.executable, "-c", HOSTILE, "-m", "pytest", "-q", "-p", "no:cacheprovider", test],
        capture_output=True, text=True, timeout=WAIT,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout


@pytest.mark.parametrize(
    "start",
    [
        lambda: os.openpty(),
        lambda: multiprocessing.Process().start(),
        lambda: subprocess.run(["true"]),
        lambda: os.posix_spawn("/bin/true", ["true"], {}),
        lambda: os.system("true"),
        lambda: os.fork() or os._exit(0),
    ],
)
def test_an_unmarked_test_starts_nothing(start: Callable[[], object]) -> None:
    with pytest.raises(pytest.fail.Exception, match=r"pytest\.mark\.process"):
        start()
