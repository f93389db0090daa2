"""Pipelines of real programs, which end by themselves or are killed.

Every wait has a bound. Only processes that were started here are signalled, by pid.
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
LIMIT = 900.0  # seconds for one run, against hanging
SAMPLE_EVERY = 0.01  # seconds between two checks of a process's memory
ENVIRONMENT = {**os.environ, "LC_ALL": "C.UTF-8"}  # text is UTF-8, messages are English
ENVIRONMENT.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed program is compiled


class RunError(Exception):
    """A run that must not be counted; the message says why."""


@functools.cache
def find(program: str) -> str | None:
    """The path of a program: beside this Python, or (but not sockkit) on PATH.

    `nc` is OpenBSD's or None, as other netcats have other options. A path is checked as it is.
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
    """The stdout and stderr of a command that only prints something."""
    pipe, null = subprocess.PIPE, subprocess.DEVNULL
    return subprocess.run(
        command, stdin=null, stdout=pipe, stderr=subprocess.STDOUT, timeout=LIMIT, check=False
    ).stdout.decode(errors="replace")


class Pipeline:
    """Commands joined by pipes, from one file to another. Their stderr is collected.

    Leaving the `with` block kills and reaps the processes that still run.
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
            process.kill()  # has no effect on a process that was reaped
            process.wait()
            if process.stdout:
                process.stdout.close()
        self._talk.close()

    def talk(self) -> str:
        """The stderr of all commands so far."""
        size = os.fstat(self._talk.fileno()).st_size
        return os.pread(self._talk.fileno(), size, 0).decode(errors="replace").strip()

    def wait_until(self, ready: Callable[[], bool]) -> None:
        """Poll until `ready()`, as there is no event. Raises RunError if a command ends first."""
        end = time.monotonic() + LIMIT
        while not ready():
            if any(process.poll() is not None for process in self.processes):
                raise RunError(f"ended before it listened: {self.talk()}")
            if time.monotonic() > end:
                raise RunError("does not listen")
            time.sleep(0.002)


def finish(*pipelines: Pipeline, watch: bool = False) -> float:
    """Wait until every command has ended by itself, with status 0 unless it may fail.

    With `watch`, returns the peak resident bytes of any sockkit among them, otherwise 0. This is
    the kernel's high-water mark, read until the process ends. (A child's ru_maxrss is useless: it
    starts at the peak of the Python that started it, and hides smaller values.)
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
    """Wait until a child has ended, for at most `seconds`. Does not reap it."""
    descriptor = os.pidfd_open(pid)
    try:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        return bool(poll.poll(seconds * 1000))
    finally:
        os.close(descriptor)


def _peak(pid: int) -> int:
    """The peak resident bytes of a process; 0 if it has ended."""
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
    """Whether a process listens on an IPv4 port of this machine. Does not connect to it."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return any(row[1].endswith(f":{port:04X}") and row[3] == "0A" for row in rows)
