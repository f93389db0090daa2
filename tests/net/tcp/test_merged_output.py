"""What clients send, as one stdout: patience with unfinished lines, and what is lost.

Which bytes make a line, and its label, is in tests/core/test_merging.py.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from sockkit.core.frame_spec import parse_frame
from sockkit.core.merging import splitter
from sockkit.errors import OutputGone, SockkitError
from sockkit.events import Peer
from sockkit.net.ends.end import Callback
from sockkit.net.loop import Loop
from sockkit.net.tcp.merged_output import (
    MAX_LINE_PAUSE_SECONDS,
    MAX_LINE_PAUSE_TERMINAL_SECONDS,
    MergedOutput,
)
from tests.net import kit

loop = kit.loop


class Output:
    """Standard output that accepts `space` bytes; without a reader it is gone."""

    name = "stdout"

    def __init__(self) -> None:
        self.got = bytearray()
        self.space = 1_000_000
        self.terminal = self.gone = False
        self.ready: Callback | None = None

    def write(self, data: bytes | memoryview) -> int:
        if self.gone:
            raise OutputGone("nobody reads stdout any more")
        size = min(len(data), self.space - len(self.got))
        if not size:
            raise BlockingIOError
        self.got += data[:size]
        return size

    def when_writable(self, callback: Callback | None) -> None:
        self.ready = callback


class Streams(NamedTuple):
    output: Output


class Client:
    def __init__(self, number: int, spec: str) -> None:
        self.peer = Peer(number, f"there:{number}")
        self.last_received = 0.0
        self.splitter = splitter(parse_frame(spec) if spec else None, None)


class Case:
    """Two clients, whose lines have labels if that is wanted."""

    def __init__(
        self,
        loop: Loop,
        patch: pytest.MonkeyPatch,
        *,
        labels: bool = True,
        terminal: bool = False,
        spec: str = "",
    ) -> None:
        self._loop, self._clock = loop, kit.Clock(loop, patch)
        self.output = Output()
        self.output.terminal = terminal
        self.told: list[str | SockkitError] = []
        streams: Any = Streams(self.output)
        self.merged = MergedOutput(
            kit.context(loop, streams),
            (lambda peer: b"%d: " % peer.number) if labels else (lambda _: b""),
            framed=bool(spec),
            on_empty=lambda: self.told.append("empty"),
            on_fail=self.told.append,
        )
        self.one, self.two = Client(1, spec), Client(2, spec)

    def send(self, client: Client, data: bytes) -> None:
        client.last_received = self._loop.now
        parts = client.splitter.feed(data, self._loop.now)
        self.merged.received(client, parts)  # type: ignore[arg-type]

    def departs(self, client: Client) -> None:
        self.merged.departed(client)  # type: ignore[arg-type]

    def passes(self, seconds: float) -> None:
        self._clock.passes(seconds)
        kit.settle(self._loop)

    def accept(self, space: int) -> None:
        """Standard output accepts so many bytes more."""
        self.output.space += space
        assert self.output.ready
        self.output.ready()

    @property
    def got(self) -> bytes:
        return bytes(self.output.got)


def test_lines_of_several_do_not_mix(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case(loop, monkeypatch)
    case.send(case.one, b"he")
    case.send(case.two, b"a line\nan")
    case.send(case.one, b"llo\n")
    case.send(case.two, b"other\n")
    assert case.got == b"2: a line\n1: hello\n2: another\n"


@pytest.mark.parametrize("terminal", [False, True])
def test_a_line_that_pauses_is_written_after_so_long(
    terminal: bool, loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    patience = MAX_LINE_PAUSE_TERMINAL_SECONDS if terminal else MAX_LINE_PAUSE_SECONDS
    case = Case(loop, monkeypatch, terminal=terminal)
    case.send(case.one, b"prompt> ")
    case.passes(patience * 0.9)
    assert case.got == b""
    case.passes(patience * 0.2)
    assert case.got == b"1: prompt> "
    case.send(case.two, b"x\n")
    assert case.got == b"1: prompt> \n2: x\n"


def test_who_goes_on_in_a_line_is_not_interrupted(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = Case(loop, monkeypatch)
    for _ in range(5):
        case.send(case.one, b"x")
        case.passes(MAX_LINE_PAUSE_SECONDS * 0.7)
    assert case.got == b""
    case.passes(MAX_LINE_PAUSE_SECONDS * 0.4)
    assert case.got == b"1: xxxxx"


def test_a_pause_is_waited_for_again_after_it_was_written(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = Case(loop, monkeypatch)
    case.send(case.one, b"a")
    case.passes(MAX_LINE_PAUSE_SECONDS * 1.1)
    case.send(case.one, b"b")
    assert case.got == b"1: a"
    case.passes(MAX_LINE_PAUSE_SECONDS * 1.1)
    assert case.got == b"1: ab"


def test_a_line_that_was_finished_meanwhile_leaves_nothing_to_write(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = Case(loop, monkeypatch)
    case.send(case.one, b"begun ")
    case.send(case.one, b"and done\n")
    case.passes(MAX_LINE_PAUSE_SECONDS * 2)
    assert case.got == b"1: begun and done\n"


def test_frames_of_several_do_not_mix(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case(loop, monkeypatch, spec="len:1")
    case.send(case.one, b"\5he")
    case.send(case.two, b"\2ab\2c")
    case.send(case.one, b"llo")
    case.send(case.two, b"\n")
    assert case.got == b"2: \2ab\n1: \5hello\n2: \2c\n"


def test_a_silence_ends_the_frame_of_its_client(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = Case(loop, monkeypatch, spec="gap:200ms")
    case.send(case.one, b"ab")
    case.passes(0.15)
    case.send(case.one, b"cd")
    case.send(case.two, b"xy")
    case.passes(0.15)
    assert case.got == b""
    case.passes(0.06)
    assert sorted(case.got.splitlines()) == [b"1: abcd", b"2: xy"]
    case.send(case.one, b"e")
    case.departs(case.one)
    assert case.got.endswith(b"1: e\n")


@pytest.mark.parametrize("labels", [False, True])
def test_the_last_line_of_who_departs_is_written_at_once(
    labels: bool, loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = Case(loop, monkeypatch, labels=labels)
    case.send(case.one, b"bye")
    case.departs(case.one)
    assert case.got == (b"1: bye\n" if labels else b"bye")
    case.passes(MAX_LINE_PAUSE_SECONDS * 2)
    assert case.got == (b"1: bye\n" if labels else b"bye")


def test_what_waits_is_told_of_once_it_is_written(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = Case(loop, monkeypatch, labels=False)
    case.output.space = 2
    assert not case.merged.waits
    case.send(case.one, b"abc\n")
    assert case.merged.waits
    assert case.told == []
    case.accept(1)
    assert case.merged.waits
    case.accept(1)
    assert not case.merged.waits
    assert case.told == ["empty"]
    assert case.got == b"abc\n"


@pytest.mark.parametrize(
    ("space", "lost"),
    [
        (0, "6 bytes received but not written"),
        (4, "5 bytes received but not written"),  # its label, and one byte
        (8, "1 byte received but not written"),
        (9, ""),
    ],
)
def test_what_was_received_and_not_written_is_told_without_labels(
    space: int, lost: str, loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = Case(loop, monkeypatch)
    case.output.space = space
    case.send(case.one, b"hello\n")
    assert case.merged.lost() == lost


def test_what_is_held_of_a_line_is_counted_when_its_client_departs(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = Case(loop, monkeypatch, labels=False)
    case.output.space = 0
    case.send(case.one, b"ab\ncd")
    assert case.merged.lost() == "3 bytes received but not written"
    case.departs(case.one)
    assert case.merged.lost() == "5 bytes received but not written"


def test_a_failure_is_told_once(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case(loop, monkeypatch)
    case.output.gone = True
    case.send(case.one, b"a\n")
    case.send(case.one, b"b\n")
    assert [type(told) for told in case.told] == [OutputGone]


def test_nothing_is_written_after_a_stop(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case(loop, monkeypatch, labels=False)
    case.output.space = 1
    case.send(case.one, b"abc\n")
    case.send(case.two, b"held")
    case.merged.stop()
    assert case.output.ready is None
    case.output.space = 100
    case.passes(MAX_LINE_PAUSE_SECONDS * 2)
    assert case.got == b"a"
    assert case.merged.lost().startswith("7 bytes")
