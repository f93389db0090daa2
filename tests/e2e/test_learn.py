"""docs/learn.md shows what happens: its programs are run, side by side, as it shows them.

A block begins with a command line. What follows is what the terminal shows, but for four marks:
`> text` is typed, `^D` and `^C` are keys, and `…` stands for lines that are left out, or for the
rest of a line. Notices may be left out without a mark.
"""

from __future__ import annotations

import contextlib
import os
import random
import re
import select
import shlex
import signal
import socket
import subprocess
import threading
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support import SOCKKIT, WAIT

DOCS = Path(__file__).parent.parent.parent / "docs"
LANGUAGES = {"learn.md": "en_US.UTF-8", "learn.zh-CN.md": "zh_CN.UTF-8"}
# Below the ports that the system chooses by itself, so that no other test has one of these.
PORTS = range(20_000, 30_000)
TYPED, LEFT_OUT, KEYS = "> ", "…", ("^D", "^C")


class Section(NamedTuple):
    title: str
    blocks: list[list[str]]


def sections(document: str) -> list[Section]:
    """The parts of a document that have blocks to run."""
    found = []
    text = (DOCS / document).read_text(encoding="utf-8")
    for part in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        blocks = re.findall(r"^```console\n(.*?)^```$", part, re.MULTILINE | re.DOTALL)
        if blocks:
            title = part.partition("\n")[0]
            found.append(Section(title, [block.splitlines() for block in blocks]))
    return found


def free_port() -> int:
    for port in random.sample(PORTS, len(PORTS)):
        with contextlib.ExitStack() as stack:
            try:
                for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                    stack.enter_context(socket.socket(type=kind)).bind(("0.0.0.0", port))
            except OSError:
                continue
            return port
    raise AssertionError("no port is free")


class Pane:
    """A program on a terminal of its own that cannot edit lines."""

    def __init__(self, command: str, locale: str, ports: dict[str, str]) -> None:
        self._ports = ports
        words = shlex.split(self.replace(command))
        assert words.pop(0) == "sockkit"
        self._person, child = os.openpty()
        env = {**os.environ, "TERM": "dumb", "NO_COLOR": "1", "PYTHONUTF8": "1", "LC_ALL": locale}
        self._process = subprocess.Popen(
            [SOCKKIT, *words], stdin=child, stdout=child, stderr=child, env=env
        )
        os.close(child)
        self._text = b""
        self._ended = self._unfinished = False

    def replace(self, text: str, *, back: bool = False) -> str:
        """The ports of the document as those of this run, or `back`."""
        for ours, theirs in self._ports.items():
            old, new = (theirs, ours) if back else (ours, theirs)
            text = re.sub(rf"(?<!\d){old}(?!\d)", new, text)
        return text

    def line(self, awaited: str = "") -> str | None:
        """The next line, or `awaited` if that is shown and the line not ended; None at the end."""
        while b"\n" not in self._text and not self._ended:
            if awaited and self._shown(self._text) == awaited:
                self._text, self._unfinished = b"", True
                return awaited
            self._read()
        line, end, self._text = self._text.partition(b"\n")
        if self._unfinished and not line.strip():
            self._unfinished = False
            return self.line(awaited)
        return self._shown(line) if line or end else None

    def _read(self) -> None:
        ready, _, _ = select.select([self._person], [], [], WAIT)
        assert ready, f"nothing follows {self._text!r}"
        try:
            data = os.read(self._person, 65536)
        except OSError:  # everybody has closed the terminal
            data = b""
        self._ended = not data
        self._text += data

    def _shown(self, line: bytes) -> str:
        return normal(self.replace(line.decode(errors="replace").rstrip("\r"), back=True))

    def play(self, line: str) -> None:
        """Do what is typed in `line` of the document, or check that it is shown."""
        if line.startswith(TYPED):
            os.write(self._person, f"{line.removeprefix(TYPED)}\n".encode())
            self.expect(line.removeprefix(TYPED))
        elif line == "^D":
            os.write(self._person, b"\x04")
        elif line == "^C":
            self._process.send_signal(signal.SIGINT)
        else:
            self.expect(line)

    def expect(self, line: str, *, skips: bool = False) -> None:
        """Check that `line` is next. Notices and errors need not be in the document."""
        line = normal(line)
        while not matches(shown := self.line(line), line):
            assert shown is not None, f"{line!r} is not shown"
            assert skips or shown.startswith(("* ", "sockkit: ")), f"{shown!r} is not {line!r}"

    def expect_end(self) -> None:
        while shown := self.line():
            assert shown.startswith(("* ", "sockkit: ")), f"{shown!r} is not in the document"

    def close(self) -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(WAIT if self._ended else 0)
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait(WAIT)
        os.close(self._person)


def matches(shown: str | None, line: str) -> bool:
    """Whether it is that line. One that ends in dots stands for all that begin so."""
    return shown == line or (line.endswith(" …") and (shown or "").startswith(line[:-2]))


def normal(line: str) -> str:
    """A line without what differs from run to run: the ports that the system chooses, times."""
    return re.sub(r"\b[3-6]\d{4}\b", "EPHEMERAL", re.sub(r"in \d+(\.\d+)? ?m?s\b", "in TIME", line))


def ports_of(blocks: list[list[str]]) -> dict[str, str]:
    """A free port for each that the command lines name."""
    named = {port for command, *_ in blocks for port in re.findall(r"\b\d{4}\b", command)}
    return {port: str(free_port()) for port in sorted(named)}


def play(pane: Pane, lines: list[str], listens: threading.Event) -> None:
    """Play `lines` to the end of the program, if they have it."""
    skips = False
    for line in lines:
        if line == LEFT_OUT:
            skips = True
            continue
        if skips and not line.startswith(TYPED) and line not in KEYS:
            pane.expect(line, skips=True)
        else:
            pane.play(line)
        skips = False
        if "listening on" in line:
            listens.set()
    if not skips:
        pane.expect_end()


def run(blocks: list[list[str]], locale: str) -> None:
    ports, failures = ports_of(blocks), []
    threads: list[threading.Thread] = []
    with contextlib.ExitStack() as stack:
        for command, *lines in blocks:
            listens = threading.Event()
            pane = Pane(command.removeprefix("$ "), locale, ports)
            stack.callback(pane.close)

            def work(
                pane: Pane = pane, lines: list[str] = lines, on: threading.Event = listens
            ) -> None:
                try:
                    play(pane, lines, on)
                except BaseException as error:
                    failures.append(error)
                finally:
                    on.set()

            threads.append(threading.Thread(target=work, daemon=True))
            threads[-1].start()
            if re.search(r" -p \d+", command):
                assert listens.wait(WAIT)
            else:
                threads[-1].join(WAIT)
        for thread in threads:
            thread.join(WAIT)
            assert not thread.is_alive()
    if failures:
        raise failures[0]


WALK = [(document, section) for document in LANGUAGES for section in sections(document)]


@pytest.mark.parametrize(
    ("document", "section"), WALK, ids=[f"{name}: {one.title}" for name, one in WALK]
)
def test_the_walk_shows_what_happens(document: str, section: Section) -> None:
    run(section.blocks, LANGUAGES[document])
