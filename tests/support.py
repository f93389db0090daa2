"""What tests share: the installed program, peers made of plain sockets, and their cleaning up.

Readiness comes from an event (a line on stderr, an accepted connection, an end of file),
never from a sleep. Everything waits with a bound, WAIT seconds.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
import random
import resource
import select
import shutil
import socket
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import combinations_with_replacement
from pathlib import Path
from typing import IO, Any, AnyStr

import pytest
from hypothesis import settings

SOCKKIT = str(Path(sys.executable).with_name("sockkit"))
WAIT = 20.0  # seconds: a bound, not a measure
HERE = "127.0.0.1"


def shell_status(status: int) -> int:
    """A shell's `$?` for what subprocess gives: 128 + n for a process that died of signal n."""
    return 128 - status if status < 0 else status


class Program:
    """A running `sockkit ARGUMENTS`; `stderr` is gathered as it comes.

    `stdin` and `stdout` are as for subprocess.Popen. Leaving the `with` block kills what
    still runs, and fails if a traceback or an ignored exception was printed.
    """

    def __init__(
        self,
        *arguments: str,
        stdin: int | IO[bytes] | None = subprocess.DEVNULL,
        stdout: int | IO[bytes] | None = subprocess.PIPE,
        command: Sequence[str] = (SOCKKIT,),
        env: dict[str, str] | None = None,
        **more: Any,
    ) -> None:
        self.process = subprocess.Popen(
            [*command, *arguments],
            stdin=stdin,
            stdout=stdout,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONUTF8": "1", **(env or {})},
            **more,
        )
        self._lines: list[str] = []
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._gather, daemon=True)
        self._reader.start()

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(WAIT)
        self._reader.join(WAIT)
        for stream in (self.process.stdin, self.process.stdout):
            if stream:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()
        assert self.process.stderr
        self.process.stderr.close()
        assert "Traceback" not in self.stderr, self.stderr
        assert "Exception ignored" not in self.stderr, self.stderr
        assert "bug in sockkit" not in self.stderr, self.stderr

    def _gather(self) -> None:
        assert self.process.stderr
        for line in self.process.stderr:
            with self._changed:
                self._lines.append(line.decode())
                self._changed.notify_all()
        with self._changed:
            self._lines.append("")  # the end
            self._changed.notify_all()

    @property
    def stderr(self) -> str:
        return "".join(self._lines)

    def said(self, text: str, wait: float = WAIT) -> str:
        """Wait until a line on stderr contains `text`; return the line."""

        def found() -> str | None:
            return next((line for line in self._lines if text in line), None)

        with self._changed:
            ended = lambda: bool(self._lines) and self._lines[-1] == ""  # noqa: E731
            self._changed.wait_for(lambda: found() is not None or ended(), wait)
            line = found()
        assert line is not None, f"stderr has no {text!r}: {self.stderr!r}"
        return line

    @property
    def port(self) -> int:
        """The port a server says it listens on."""
        line = self.said("listening on ")
        return int(line.split("listening on ")[1].split()[0].rpartition(":")[2])

    def status(self, wait: float = WAIT) -> int:
        """Wait for the end, and for stderr to be read to its end; the status a shell sees."""
        status = self.process.wait(wait)
        self._reader.join(wait)
        return shell_status(status)

    def output(self, wait: float = WAIT) -> bytes:
        """Read stdout to its end, then wait; `status` follows at once."""
        assert self.process.stdout
        chunks: list[bytes] = []
        reader = threading.Thread(
            target=lambda: chunks.append(self.process.stdout.read()),  # type: ignore[union-attr]
            daemon=True,
        )
        reader.start()
        reader.join(wait)
        assert not reader.is_alive(), f"stdout did not end in {wait} s: {self.stderr!r}"
        return chunks[0]

    def type(self, data: bytes) -> None:
        """Write to the program's stdin, which must be a PIPE."""
        assert self.process.stdin
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def end_input(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()

    def descriptors(self) -> int:
        """How many it has, without files and folders: an import has some open for a moment."""
        return sum(not name.startswith("/") or name.startswith("/dev/") for name in self.opened())

    def opened(self) -> Iterator[str]:
        """What is open, as /proc names it: `socket:[1234]`, for example."""
        folder = f"/proc/{self.process.pid}/fd"
        for number in os.listdir(folder):
            with contextlib.suppress(FileNotFoundError):  # closed since
                yield os.readlink(f"{folder}/{number}")

    def resident(self) -> int:
        """Resident memory in bytes."""
        with open(f"/proc/{self.process.pid}/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def peak(self) -> int:
        """Most bytes that were ever resident."""
        with open(f"/proc/{self.process.pid}/status") as file:
            return int(file.read().split("VmHWM:")[1].split()[0]) * 1024


def run(
    *arguments: str, data: bytes = b"", wait: float = WAIT, **more: Any
) -> tuple[int, bytes, str]:
    """Run the program to its end with `data` on stdin: status, stdout, stderr."""
    with Program(*arguments, stdin=subprocess.PIPE, **more) as program:

        def feed() -> None:
            with contextlib.suppress(BrokenPipeError):
                program.type(data)
                program.end_input()

        feeder = threading.Thread(target=feed, daemon=True)
        feeder.start()
        out = program.output(wait)
        status = program.status(wait)
        feeder.join(wait)
        return status, out, program.stderr


@contextlib.contextmanager
def peer(
    serve: Callable[[socket.socket], None], host: str = HERE, family: int = socket.AF_INET
) -> Iterator[int]:
    """A plain server for one connection at a time; gives its port.

    `serve` gets each accepted socket, which is closed after it, also of clients that connected
    shortly before the end. What it raises fails the test.
    """
    listener = socket.create_server((host, 0), family=socket.AddressFamily(family))
    listener.settimeout(WAIT)
    failures: list[BaseException] = []
    last = socket.socket(family)  # our own client: whoever connected before it is served
    last.settimeout(WAIT)

    def loop() -> None:
        while True:
            try:
                sock, address = listener.accept()
            except OSError:
                return
            with sock:
                if address == bound:
                    return
                sock.settimeout(WAIT)
                try:
                    serve(sock)
                except BaseException as error:
                    failures.append(error)
                    return

    last.bind((host, 0))
    bound = last.getsockname()
    thread = threading.Thread(target=loop, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        last.connect(listener.getsockname())
        thread.join(WAIT)
        last.close()
        listener.close()
    if failures:
        raise failures[0]


def connect(port: int, host: str = HERE) -> socket.socket:
    """A plain client, with a bound on every wait."""
    return socket.create_connection((host, port), timeout=WAIT)


def fewer(examples: int) -> settings:
    """For a Hypothesis test whose examples take long: the full number under `make torture` only."""
    gate = os.environ.get("HYPOTHESIS_PROFILE", "gate") == "gate"
    return settings(max_examples=examples) if gate else settings()


def read_all(sock: socket.socket) -> bytes:
    """Everything until the other side ends."""
    chunks = []
    while chunk := sock.recv(65536):
        chunks.append(chunk)
    return b"".join(chunks)


def read_exactly(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        chunk = sock.recv(size - len(data))
        assert chunk, f"ended after {len(data)} bytes: {data[-1000:]!r}"
        data += chunk
    return data


def reset(sock: socket.socket) -> None:
    """Close with a RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    sock.close()


leaving = pytest.mark.parametrize("leave", [socket.socket.close, reset])


def datagrams(port: int) -> socket.socket:
    """A plain client by UDP, with a bound on every wait."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.settimeout(WAIT)
    sock.connect((HERE, port))
    return sock


@contextlib.contextmanager
def refuses_datagrams() -> Iterator[int]:
    """A UDP port whose socket is connected to itself: datagrams of others are refused."""
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.bind((HERE, 0))
        sock.connect(sock.getsockname())
        yield sock.getsockname()[1]


@functools.lru_cache
def noise(size: int) -> bytes:
    """Bytes at random, which are the same each time."""
    return random.Random(size).randbytes(size)


def splits(data: AnyStr) -> Iterator[list[AnyStr]]:
    """`data` one by one, and in three at every two places; a piece may be empty."""
    yield [data[i : i + 1] for i in range(len(data))]
    for i, j in combinations_with_replacement(range(len(data) + 1), 2):
        yield [data[:i], data[i:j], data[j:]]


def need(command: str, path: str | None = None) -> str:
    """The path of another program. Without it the test skips, which fails where CI is set."""
    found = shutil.which(command, path=path)
    if found is None:
        pytest.skip(f"{command} is not installed")
    return found


def eventually(true: Callable[[], bool], wait: float = WAIT) -> None:
    """Poll for what no event tells, as a count in /proc."""
    end = time.monotonic() + wait
    while not true():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.01)


def children(program: Program) -> list[int]:
    """The processes that it has started and not reaped, zombies too."""
    path = f"/proc/{program.process.pid}/task/{program.process.pid}/children"
    return [int(word) for word in Path(path).read_text().split()]


def runs(number: int) -> bool:
    """Whether there is such a process; a zombie that others have to reap does not run."""
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


END = 8.0  # seconds in which a program is gone once what ends it has happened: a bound
CLIENT, ONCE, SERVER = "tcp-client", "tcp-server --once", "tcp-server"
both = pytest.mark.parametrize("kind", [CLIENT, ONCE])
everyone = pytest.mark.parametrize("kind", [CLIENT, ONCE, SERVER])


@contextlib.contextmanager
def few_descriptors() -> Iterator[int]:
    """This process may have few, until it asks for as many as are given: its hard limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    try:
        yield hard
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def few() -> None:
    """For preexec_fn: a program with 64 descriptors."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))


# For `patched`: a server that could not accept tries again soon.
SOON = "import sockkit.net.tcp.listen as listen; listen.ACCEPT_PAUSE_SECONDS = 0.1\n"


def patched(code: str) -> tuple[str, ...]:
    """A `command` for Program: the installed sockkit in an interpreter that ran `code` first."""
    return (sys.executable, "-P", "-c", f"{code}\nfrom sockkit.cli.main import main\nmain()")


@contextlib.contextmanager
def conversation(kind: str, *options: str, **more: Any) -> Iterator[tuple[Program, socket.socket]]:
    """The program as `kind` says, connected to the test's own end of the connection."""
    if kind == CLIENT:
        with socket.create_server((HERE, 0)) as listener:
            listener.settimeout(WAIT)
            port = str(listener.getsockname()[1])
            with Program(kind, *options, HERE, port, **more) as program:
                sock, _ = listener.accept()
                listener.close()
                sock.settimeout(WAIT)
                with sock:
                    yield program, sock
    else:
        with (
            Program(*kind.split(), "-p", "0", *options, **more) as program,
            connect(program.port) as sock,
        ):
            yield program, sock


def errors(program: Program) -> list[str]:
    """The lines that say what went wrong."""
    return [line for line in program.stderr.splitlines() if line.startswith("sockkit: ")]


def gone(program: Program, status: int, *words: str, wait: float = END) -> None:
    """It ends within `wait`, with `status`, and its one error line, if any, has all `words`."""
    assert program.status(wait) == status, program.stderr
    lines = errors(program)
    assert len(lines) == bool(words), program.stderr
    for word in words:
        assert word in lines[0]


def cpu(program: Program) -> float:
    """Seconds of processor time used so far."""
    with open(f"/proc/{program.process.pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def sleeps(program: Program) -> bool:
    """Whether it waits at this moment; a copy of endless input only for a peer that is full."""
    with open(f"/proc/{program.process.pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0] == "S"


def share(program: Program, seconds: float) -> float:
    """The share of a processor that it uses while `seconds` pass."""
    used = cpu(program)
    time.sleep(seconds)
    return (cpu(program) - used) / seconds


def rests(program: Program) -> None:
    """Wait until it uses next to nothing for a while. How little: tests/e2e/test_timed.py."""
    eventually(lambda: share(program, 0.2) < 0.15)


class Terminal:
    """A pseudo-terminal. A program gets `child`; the test is the person in front of it."""

    def __init__(self) -> None:
        self._person, self.child = os.openpty()
        self._flags = termios.tcgetattr(self.child)
        self.seen = b""

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        unchanged = termios.tcgetattr(self.child) == self._flags
        os.close(self._person)
        os.close(self.child)
        assert unchanged, "the terminal's flags have changed"

    def control(self) -> None:
        """For preexec_fn, with start_new_session: standard input is the controlling terminal."""
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    def type(self, data: bytes) -> None:
        os.write(self._person, data)

    def shows(self, text: bytes, wait: float = WAIT) -> None:
        """Wait until `text` is on the screen."""
        end = time.monotonic() + wait
        while text not in self.seen:
            ready, _, _ = select.select([self._person], [], [], max(0.0, end - time.monotonic()))
            assert ready, f"{text!r} is not in {self.seen!r}"
            self.seen += os.read(self._person, 65536)


def state_of(path: Path) -> tuple[int, ...]:
    """What tells whether somebody has changed or replaced what is at `path`; looking is neither."""
    there = path.lstat()
    return there.st_mode, there.st_ino, there.st_uid, there.st_size, there.st_mtime_ns
