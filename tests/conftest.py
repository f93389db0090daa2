"""What every test relies on, whatever has started pytest, and what makes a run fail.

A program under test inherits its signals, its mask, its umask and its environment from here.
"""

from __future__ import annotations

import ctypes
import fcntl
import gc
import locale
import os
import resource
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from multiprocessing.process import BaseProcess
from typing import Any

import pytest
from hypothesis import settings

from tests.skips import pytest_make_collect_report, pytest_runtest_makereport

__all__ = ["pytest_make_collect_report", "pytest_runtest_makereport"]

# What pytest and those who run it may need. Everything else of the name changes the program.
KEPT = {"PYTHONPATH", "PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX"}
CHANGING = ("PYTHON", "LC_", "LANG", "SOCKKIT_", "_SOCKKIT_", "NO_COLOR", "FORCE_COLOR")
OWN = {"COLUMNS", "LINES"}  # a terminal's size, which it has itself
DESCRIPTORS = 1024  # the usual limit, which some tests come near

# sched.h, bits/ioctls.h and net/if.h of Linux
CLONE_NEWNET = 0x40000000
SIOCSIFFLAGS = 0x8914
IFF_UP = 1

E2E = "tests/e2e/"  # whole programs: all of them are processes

# With these a test leaves its process, or gets a terminal.
STARTERS: tuple[tuple[Any, str], ...] = (
    (subprocess.Popen, "__init__"),
    (BaseProcess, "start"),
    *((os, name) for name in ("fork", "forkpty", "posix_spawn", "posix_spawnp", "system")),
    (os, "openpty"),  # which pty.openpty calls
)


def set_signals() -> None:
    """Take back what a parent ignores or blocks; what Python ignores itself stays so."""
    for number in signal.valid_signals() - {signal.SIGPIPE, signal.SIGXFSZ}:
        if signal.getsignal(number) is signal.SIG_IGN:
            default = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
            signal.signal(number, default)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def set_environment() -> None:
    for name in set(os.environ) - KEPT:
        if name.startswith(CHANGING) or name in OWN:
            del os.environ[name]
    os.environ.update(LC_ALL="C.UTF-8", TERM="xterm")
    locale.setlocale(locale.LC_ALL, "C.UTF-8")


def set_input() -> None:
    """Where a parent has closed it, pytest needs something in its place."""
    if sys.__stdin__ is None:
        sys.__stdin__ = open(os.devnull)  # noqa: SIM115


def set_limits() -> None:
    os.umask(0o022)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= soft < DESCRIPTORS:
        least = DESCRIPTORS if hard < 0 else min(DESCRIPTORS, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (least, hard))


def set_network() -> None:
    """Give each worker of xdist a loopback of its own, where the system lets it.

    A port that one test has given up, or where it expects a refusal, is soon that of a server in
    another worker, which would have a client too many. See network_namespaces(7).
    """
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return
    if ctypes.CDLL(None).unshare(CLONE_NEWNET):
        return  # it needs a user with the rights of root
    with socket.socket() as sock:
        fcntl.ioctl(sock, SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", IFF_UP))


set_signals()
set_environment()
set_input()
set_limits()
set_network()

# A run is repeated exactly by the next. HYPOTHESIS_PROFILE=search looks further, and elsewhere.
# With `full` there are twice as many examples, and as many in tests that have few, as each is slow.
settings.register_profile("gate", deadline=None, derandomize=True, max_examples=50)
settings.register_profile("full", deadline=None)
settings.register_profile("search", deadline=None, max_examples=5000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "gate"))


def pytest_itemcollected(item: pytest.Item) -> None:
    if item.nodeid.startswith(E2E):  # a comparison of paths would take a tenth of the collection
        item.add_marker("process")


gc.disable()  # while tests are collected: hardly anything is garbage, and looking for it is slow


def pytest_collection_finish() -> None:
    """What is there before the first test stays: no later garbage collection looks at it again."""
    gc.collect()
    gc.freeze()
    gc.enable()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Only tests that are marked may start a process or open a terminal, fixtures included."""
    with pytest.MonkeyPatch.context() as patch:
        if not item.get_closest_marker("process"):
            for owner, name in STARTERS:
                patch.setattr(owner, name, _refused)
        return (yield)  # type: ignore[return-value]


def _refused(*_: object, **__: object) -> None:
    pytest.fail("a test that starts a process or opens a terminal needs pytest.mark.process")


RUN = os.getpid()
leave = os._exit


def leave_unless_all_is_well(status: int) -> None:
    """The program's own end, `os._exit(0)`, would end the run, with the status of success."""
    if os.getpid() == RUN and not status:
        raise AssertionError("a test has called os._exit(0)")
    leave(status)


os._exit = leave_unless_all_is_well  # type: ignore[assignment]
