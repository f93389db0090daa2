"""A connection over a pair of ends in memory, on a clock that stands still, and what it tells."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sockkit.core.ending import EndOptions, Limit
from sockkit.errors import ReceiveError
from sockkit.net.closing import Closer
from sockkit.net.connection import Connection, Owner, Result, Stage
from sockkit.net.ends.memory import MemoryEnd, memory_pair
from sockkit.net.loop import Loop
from sockkit.net.reader import Reader
from tests.net import kit

CAPACITY = 100  # bytes that each direction holds
BUFFER = 64  # bytes that one read takes

Wrap = Callable[[MemoryEnd], Any]


def read_all(end: MemoryEnd) -> bytes:
    """What can be read now."""
    buffer = memoryview(bytearray(1000))
    got = bytearray()
    try:
        while size := end.read_into(buffer):
            got += buffer[:size]
    except BlockingIOError:
        pass
    return bytes(got)


def at_end(end: MemoryEnd) -> bool:
    """Whether `end` reads a clean end now."""
    try:
        return end.read_into(memoryview(bytearray(1))) == 0
    except (BlockingIOError, ReceiveError):
        return False


def turn(loop: Loop) -> None:
    """Turn `loop` until what is ready is done; nobody else may stop it."""
    remaining = kit.do(loop, kit.turns(), loop.stop)
    loop.run()
    assert not remaining, "the loop was stopped"


class Site(Owner):
    """Owner and handler of `connection`, whose far end is `peer`.

    `told` says of what, in order. What the owner does when it is told is in `does`, by name.
    """

    def __init__(
        self,
        loop: Loop,
        clock: kit.Clock,
        options: EndOptions | None = None,
        *,
        alone: bool = False,
        wrap: Wrap = lambda end: end,
    ) -> None:
        self.loop, self.clock = loop, clock
        self.near, self.peer = memory_pair(loop, capacity=CAPACITY)
        self.closer = Closer(loop, alone=alone)
        self.connection = Connection(loop, wrap(self.near), self, self.closer, options)
        self.reader = Reader(loop, self.connection, self, memoryview(bytearray(BUFFER)))
        self.told: list[str | tuple[str, Limit | None]] = []
        self.does: dict[str, Callable[[], object]] = {}
        self.result: Result | None = None
        self.got = bytearray()
        self.wants = True
        self.is_held_up = self.is_closing = False

    def start(self) -> Site:
        self.connection.start(self.reader)
        self.turn()
        return self

    def turn(self) -> None:
        turn(self.loop)

    def passes(self, seconds: float) -> None:
        """Time passes, at once, and then the loop turns."""
        self.clock.passes(seconds)
        self.turn()

    def send(self, data: bytes) -> None:
        self.connection.send(data)
        self.turn()

    def peer_writes(self, data: bytes) -> None:
        assert self.peer.write(data) == len(data)
        self.turn()

    def peer_reads(self) -> bytes:
        """Everything that comes until nothing more does."""
        got = bytearray()
        while data := read_all(self.peer):
            got += data
            self.turn()
        return bytes(got)

    @property
    def is_closed(self) -> bool:
        return self.result is not None

    def closes(self, within: float = 100.0) -> Result:
        """How it ended, once time has passed."""
        for _ in range(int(within / 0.05)):
            if self.result:
                return self.result
            self.passes(0.05)
        raise AssertionError("it was not closed")

    # What is told.

    def _tell(self, what: str) -> None:
        self.told.append(what)
        self.does.get(what, lambda: None)()

    def peer_ended(self) -> None:
        self._tell("peer_ended")

    def drained(self) -> None:
        self._tell("drained")

    def held_up(self, limit: Limit) -> bool:
        self.told.append(("held_up", limit))
        return self.is_held_up

    def over(self, limit: Limit | None) -> None:
        self.told.append(("over", limit))
        self.does.get("over", lambda: None)()

    def closing(self) -> None:
        assert not self.is_closing, "closing twice"
        assert not self.connection.is_open
        self.is_closing = True

    def closed(self, result: Result) -> None:
        assert self.is_closing, "it was not said that it closes"
        assert self.result is None, "closed twice"
        assert self.connection.stage is Stage.CLOSED
        assert self.near.closed
        assert not self.near.watched
        self.result = result
        self._tell("closed")

    def received(self, data: bytes) -> None:
        assert data
        assert not self.is_closing, "received after the close"
        self.got += data
        self._tell("received")

    def wants_more(self) -> bool:
        return self.wants

    @property
    def overs(self) -> list[Limit | None]:
        return [told[1] for told in self.told if told[0] == "over"]


Make = Callable[..., Site]


@pytest.fixture
def site(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Makes a site, and starts it."""
    clock = kit.Clock(loop, monkeypatch)
    for timer in loop._timers:  # each run of the loop is bounded by its turns, not by time
        timer.cancel()

    def make(*arguments: Any, **named: Any) -> Site:
        return Site(loop, clock, *arguments, **named).start()

    return make
