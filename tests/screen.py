"""A person's screen: the installed program on a pseudo-terminal of its own, drawn by pyte.

Leaving the `with` block ends what still runs, by SIGTERM, and compares the terminal's
settings and the flags of its file descriptions with those of before.
"""

from __future__ import annotations

import codecs
import contextlib
import fcntl
import functools
import os
import re
import signal
import socket
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pyte
import pytest

from tests.preloaded import Preloaded
from tests.support import HERE, SOCKKIT, WAIT, need, shell_status

ROWS, COLUMNS = 24, 80
LEFT, UP = "\x1b[D", "\x1b[A"
BACKSPACE, ENTER = "\x7f", "\r"
FRAME = 0.05  # seconds between drawings of a flood
PASTE = "\x1b[200~{}\x1b[201~"


class Screen:
    """`sockkit ARGUMENTS` on a controlling terminal of its own; `state` is $XDG_STATE_HOME.

    Of runs of lines that match `bulk`, which must be shorter than the screen is wide, only
    the last are drawn: pyte is slow. `seen` is all that the terminal was given.
    """

    def __init__(
        self,
        state: Path,
        *arguments: str,
        command: Sequence[str] = (SOCKKIT,),
        env: Mapping[str, str] | None = None,
        encoding: str = "utf-8",
        bulk: bytes = b"",
    ) -> None:
        self.seen = bytearray()
        self._encoding, self._bulk = encoding, bulk
        self._decoder = codecs.getincrementaldecoder(encoding)("replace")
        self._drawn = pyte.Screen(COLUMNS, ROWS)
        self._stream = pyte.Stream(self._drawn)
        self._changed = threading.Condition()
        self._person, self._child = os.openpty()
        self._size(ROWS, COLUMNS)
        self._before = self._state()
        self.process = self._start(
            [*command, *arguments],
            {
                **{name: os.environ[name] for name in os.environ if "COLOR" not in name},
                "PYTHONUTF8": "1",
                "TERM": "xterm-256color",
                "XDG_STATE_HOME": str(state),
                **(env or {}),
            },
        )
        self._came = threading.Condition()
        self._undrawn = bytearray()
        self._ended = False
        self._threads = [
            threading.Thread(target=work, daemon=True) for work in (self._read, self._draw)
        ]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> Screen:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if self.process.poll() is None:
            if kind is None:
                self.process.terminate()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self.process.wait(WAIT)
            self.process.kill()
        self.process.wait(WAIT)
        after = self._state()
        os.close(self._child)  # the reader's end
        for thread in self._threads:
            thread.join(WAIT)
        os.close(self._person)
        if kind is None:
            assert after == self._before, "the terminal is not as it was"
            for fault in (b"Traceback", b"Exception ignored", b"bug in sockkit"):
                assert fault not in self.seen, self.text

    def _start(
        self, command: list[str], environment: dict[str, str]
    ) -> Preloaded | subprocess.Popen[bytes]:
        """Other commands, and those of a person with another locale, start as they are."""
        locale = [environment.get(name) for name in ("PYTHONUTF8", "LC_ALL")]
        if command[0] == SOCKKIT and locale == ["1", os.environ["LC_ALL"]]:
            return Preloaded(command, self._child, environment)
        return subprocess.Popen(
            command, stdin=self._child, stdout=self._child, stderr=self._child, env=environment,
            start_new_session=True, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )  # fmt: skip

    def _state(self) -> tuple[object, ...]:
        return (termios.tcgetattr(self._child), fcntl.fcntl(self._child, fcntl.F_GETFL))

    def _size(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self._person, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def _read(self) -> None:
        with contextlib.suppress(OSError):
            while data := os.read(self._person, 65536):
                with self._came:
                    self.seen += data
                    self._undrawn += data
                    self._came.notify()
        with self._came:
            self._ended = True
            self._came.notify()

    def _draw(self) -> None:
        while True:
            with self._came:
                self._came.wait_for(lambda: self._undrawn or self._ended)
                if not self._undrawn:
                    return
                data, self._undrawn = bytes(self._undrawn), bytearray()
            text = self._decoder.decode(self._thinned(data))
            with self._changed:
                self._stream.feed(text)
                self._changed.notify_all()
            if self._bulk and not self._ended:
                time.sleep(FRAME)  # else drawing leaves reading no time

    def _thinned(self, data: bytes) -> bytes:
        if not self._bulk:
            return data
        run = rb"(?:%b\r\n)+(?=(?:%b\r\n){%d})" % (self._bulk, self._bulk, ROWS)
        return re.sub(run, b"", data)

    # What the person does.

    def type(self, text: str) -> None:
        os.write(self._person, text.encode(self._encoding))

    def job(self) -> int:
        """The process group that is in the foreground of the terminal."""
        return os.tcgetpgrp(self._person)

    def resize(self, rows: int, columns: int) -> None:
        with self._changed:
            self._drawn.resize(rows, columns)
        self._size(rows, columns)
        self.process.send_signal(signal.SIGWINCH)

    # What the person sees.

    def lines(self) -> list[str]:
        """What is on the screen, without the empty lines at its foot."""
        with self._changed:
            return self._lines()

    def _lines(self) -> list[str]:
        return "\n".join(line.rstrip() for line in self._drawn.display).rstrip().split("\n")

    @property
    def text(self) -> str:
        return "\n".join(self.lines())

    @property
    def line(self) -> str:
        """The line the cursor is in."""
        with self._changed:
            return self._drawn.display[self._drawn.cursor.y].rstrip()

    @property
    def cursor(self) -> int:
        """The column of the cursor, from 0."""
        with self._changed:
            return self._drawn.cursor.x

    def color(self, text: str) -> str:
        """The colour `text`, without wide characters, has on the screen."""
        with self._changed:
            for y, line in enumerate(self._drawn.display):
                if (x := line.find(text)) >= 0:
                    colors = {self._drawn.buffer[y][x + place].fg for place in range(len(text))}
                    assert len(colors) == 1, colors
                    return colors.pop()
        raise AssertionError(f"{text!r} is not on the screen")

    def until(self, true: Callable[[list[str]], bool], wait: float = WAIT) -> list[str]:
        """Wait until what is on the screen is as `true` says; return it."""

        def holds() -> bool:
            try:
                return true(self._lines())
            except IndexError:  # there are not as many lines yet
                return False

        with self._changed:
            assert self._changed.wait_for(holds, wait), "\n".join(self._lines())
            return self._lines()

    def shows(self, text: str, wait: float = WAIT) -> str:
        """Wait until `text` is on the screen, in one line; return the line."""
        lines = self.until(lambda lines: any(text in line for line in lines), wait)
        return next(line for line in lines if text in line)

    def prompts(self, line: str, wait: float = WAIT) -> None:
        """Wait until the last line on the screen is `line`: the prompt, and what is typed."""
        self.until(lambda lines: lines[-1] == line.rstrip(), wait)

    def counts(self, text: str) -> int:
        return self.text.count(text)

    # What becomes of the program.

    def status(self, wait: float = WAIT) -> int:
        return shell_status(self.process.wait(wait))

    @property
    def port(self) -> int:
        """The port a server says it listens on."""
        line = self.shows("listening on ")
        return int(line.split("listening on ")[1].split()[0].rpartition(":")[2])


@contextlib.contextmanager
def client(
    state: Path, *options: str, edited: bool = True, **more: object
) -> Iterator[tuple[Screen, socket.socket]]:
    """A connected tcp-client with its prompt, and the test's own end of the connection.

    `edited` says whether the line is edited without `--no-edit`.
    """
    with socket.create_server((HERE, 0)) as listener:
        listener.settimeout(WAIT)
        address = (HERE, str(listener.getsockname()[1]))
        with Screen(state, "tcp-client", *options, *address, **more) as screen:  # type: ignore[arg-type]
            sock, _ = listener.accept()
            listener.close()
            sock.settimeout(WAIT)
            with sock:
                screen.shows("* connected to ")
                if edited and "--no-edit" not in options:
                    screen.shows("* Ctrl-] for commands")
                yield screen, sock


class Person(NamedTuple):
    """Somebody with a locale: the encoding their terminal has, and their environment."""

    encoding: str
    env: dict[str, str]


@functools.cache
def gbk_locale(base: Path) -> Path:
    """The folder below `base` of a locale with GBK. It takes a second to make: once in a run.

    Processes that test side by side share it; the lock has them wait for the one that makes it.
    """
    folder = base / "locale"
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "made").exists():
            subprocess.run(
                [need("localedef"), "-i", "zh_CN", "-f", "GBK", folder / "zh_CN.GBK"],
                check=True, timeout=WAIT, capture_output=True,
            )  # fmt: skip
            (folder / "made").touch()
    return folder


def person(encoding: str, base: Path) -> Person:
    """A person with UTF-8 or with GBK."""
    if encoding == "utf-8":
        return Person(encoding, {})
    folder = str(gbk_locale(base))
    return Person(encoding, {"LOCPATH": folder, "LC_ALL": "zh_CN.GBK", "PYTHONUTF8": "0"})


@pytest.fixture(scope="module", params=["utf-8", "gbk"])
def somebody(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Person:
    """Who works in UTF-8, and who works in GBK."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    return person(request.param, shared)
