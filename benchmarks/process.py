"""Pipelines of real programs, that end by themselves or are ended by us.

Nothing is waited for without a bound, and only processes started here are signalled, by pid.
"""

from __future__ import annotations

import functools
import os
import re
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

HERE = "127.0.0.1"
LIMIT = 900.0  # seconds for one run: a bound, not a measure
SAMPLE_EVERY = 0.01  # seconds between looks at a process's memory
ENVIRONMENT = {**os.environ, "LC_ALL": "C.UTF-8"}  # text is UTF-8, messages are English
ENVIRONMENT.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed program is compiled


class RunError(Exception):
    """A run that must not be counted; the message says why."""


@functools.cache
def find(program: str) -> str | None:
    """The path of a program: beside this Python, or (but not sockkit) on PATH.

    `nc` is OpenBSD's or none: the options of the other netcats differ. A path is what it is.
    """
    if "/" in program:
        return shutil.which(program)
    beside = Path(sys.executable).with_name(program)
    if program == "sockkit" or beside.exists():
        return str(beside) if beside.exists() else None
    if program != "nc":
        return shutil.which(program)
    path = shutil.which("nc.openbsd") or shutil.which("nc")
    return path if path and "OpenBSD" in output_of([path, "-h"]) else None


def output_of(command: Sequence[str]) -> str:
    """What a command that only talks says, on stdout and stderr."""
    pipe, null = subprocess.PIPE, subprocess.DEVNULL
    return subprocess.run(
        command, stdin=null, stdout=pipe, stderr=subprocess.STDOUT, timeout=LIMIT, check=False
    ).stdout.decode(errors="replace")


class Pipeline:
    """Commands joined by pipes, from one file to another; stderr of all of them is gathered.

    Leaving the `with` block kills and reaps what still runs.
    """

    def __init__(
        self,
        commands: Sequence[Sequence[str]],
        source: str | Path = os.devnull,
        target: str | Path = os.devnull,
        *,
        may_fail: bool = False,
    ) -> None:
        self.may_fail = may_fail
        self.processes: list[subprocess.Popen[bytes]] = []
        self._talk = tempfile.TemporaryFile()  # noqa: SIM115  (closed in __exit__)
        try:
            with open(source, "rb") as first, open(target, "wb") as last:
                for number, command in enumerate(commands, 1):
                    before = self.processes[-1].stdout if self.processes else None
                    process = subprocess.Popen(
                        command,
                        stdin=before or first,
                        stdout=last if number == len(commands) else subprocess.PIPE,
                        stderr=self._talk,
                        env=ENVIRONMENT,
                    )
                    self.processes.append(process)
                    if before:
                        before.close()
        except BaseException:
            self.__exit__()
            raise

    def __enter__(self) -> Pipeline:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes:
            process.kill()  # does nothing to one that has been waited for
            process.wait()
            if process.stdout:
                process.stdout.close()
        self._talk.close()

    def talk(self) -> str:
        """What the commands have said on stderr."""
        size = os.fstat(self._talk.fileno()).st_size
        return os.pread(self._talk.fileno(), size, 0).decode(errors="replace").strip()

    def wait_until(self, ready: Callable[[], bool]) -> None:
        """Poll for what no event tells; fail if a command ends first."""
        end = time.monotonic() + LIMIT
        while not ready():
            if any(process.poll() is not None for process in self.processes):
                raise RunError(f"ended before it listened: {self.talk()}")
            if time.monotonic() > end:
                raise RunError("does not listen")
            time.sleep(0.002)


def finish(*pipelines: Pipeline, watch: bool = False) -> float:
    """Wait until every command has ended by itself, with status 0 unless it may fail.

    With `watch`: the peak resident bytes of any sockkit among them, else 0. It is the kernel's
    own high-water mark, read to the last moment. (The ru_maxrss of a child is no use: it
    starts at the peak of the Python it was started from, and hides what is below.)
    """
    every = [process for pipeline in pipelines for process in pipeline.processes]
    watched = [process.pid for process in every if watch and _name(process) == "sockkit"]
    peak, end = 0, time.monotonic() + LIMIT
    for pipeline in pipelines:
        for process in pipeline.processes:
            peak = max(peak, *map(_peak, watched), 0)
            while not _ended(process.pid, SAMPLE_EVERY if watch else LIMIT):
                peak = max(peak, *map(_peak, watched), 0)
                if time.monotonic() > end:
                    raise RunError(f"{_name(process)} did not end in time: {pipeline.talk()}")
            if (status := process.wait()) and not pipeline.may_fail:
                raise RunError(f"{_name(process)} ended with {status}: {pipeline.talk()}")
    return peak


def _name(process: subprocess.Popen[bytes]) -> str:
    assert isinstance(process.args, list)
    return Path(process.args[0]).name


def _ended(pid: int, seconds: float) -> bool:
    """Sleep until a child has ended, at most so long; it is still to be reaped."""
    descriptor = os.pidfd_open(pid)
    try:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        return bool(poll.poll(seconds * 1000))
    finally:
        os.close(descriptor)


def _peak(pid: int) -> int:
    """The most resident bytes a process has had; 0 when it has ended."""
    try:
        found = re.search(r"VmHWM:\s*(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return int(found[1]) * 1024 if found else 0


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.create_server((HERE, 0)) as listener:
        return int(listener.getsockname()[1])


def listens(port: int) -> bool:
    """Whether something listens on an IPv4 port of this machine; connects to nothing."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return any(row[1].endswith(f":{port:04X}") and row[3] == "0A" for row in rows)
