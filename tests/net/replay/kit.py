"""A recording that is played over ends in memory, on a clock that stands still."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from sockkit.core.json_lines import JsonLines
from sockkit.core.player import Conversation, Player, PlayOptions, Step
from sockkit.core.records import Begun, Exit, Record, Stream
from sockkit.errors import SockkitError
from sockkit.events import Event
from sockkit.net.closing import Closer
from sockkit.net.context import Context
from sockkit.net.ends.memory import MemoryEnd, memory_pair
from sockkit.net.ends.stdio import Output, Stdio
from sockkit.net.loop import Loop
from sockkit.net.outbox import Outbox
from sockkit.net.replay.lines import Line, StreamLine
from sockkit.net.replay.playing import Playing, PlayingOptions
from sockkit.net.replay.recording import Index, Recording
from sockkit.net.replay.server import Programme
from sockkit.net.waiting import Done, OnDone, Pending
from tests.net import kit
from tests.net.site import read_all, turn

CLIENT = Stream(0, "tcp", "10.0.0.1:4000", "10.0.0.2:80", dialled=True)
NOW = 1_000_000


class Scene:
    """Plays `records`. `peers` are the far ends of the lines, in the order in which they opened.

    `outcomes` has what was reported at the end.
    """

    def __init__(self, loop: Loop, patch: pytest.MonkeyPatch) -> None:
        self.loop, self.clock = loop, kit.Clock(loop, patch)
        self.peers: list[MemoryEnd] = []
        self.outcomes: list[SockkitError | None] = []
        self.events: list[Event] = []
        self.closer = Closer(loop)
        self.shown, self._screen = memory_pair(loop)
        self.output = Outbox(self._screen, on_empty=lambda: None)
        self.refusal: SockkitError | None = None
        self.playing: Playing | None = None

    def play(self, *records: Record, idle: float | None = 5.0, **options: object) -> Scene:
        play = PlayOptions(**options)  # type: ignore[arg-type]
        player = Player(play)
        shown = PlayingOptions(None if play.verify else self.output, idle)
        context = kit.context(self.loop, emit=self.events.append)
        steps = self._steps(player, records)
        self.playing = Playing(context, steps, player, self._open, shown, self.outcomes.append)
        self.turn()
        return self

    @staticmethod
    def _steps(player: Player, records: tuple[Record, ...]) -> Iterator[Step | None]:
        for record in records:
            yield from player.feed(record)
            yield None
        yield from player.finish()

    def _open(self, playing: Playing, conversation: Conversation, done: OnDone[Line]) -> Pending:
        if self.refusal:
            done(self.refusal)
            return Done()
        end, far = memory_pair(self.loop)
        self.peers.append(far)
        buffer = memoryview(bytearray(64 * 1024))
        done(StreamLine(playing, conversation, end, self.closer, buffer))
        return Done()

    def turn(self) -> None:
        for _ in range(3):
            turn(self.loop)

    def passes(self, seconds: float) -> None:
        self.clock.passes(seconds + 1e-6)  # sums of floats may be a little short
        self.turn()

    def answers(self, data: bytes, peer: int = -1) -> None:
        assert self.peers[peer].write(data) == len(data)
        self.turn()

    def ends(self, peer: int = -1) -> None:
        self.peers[peer].half_close()
        self.turn()

    def sent(self, peer: int = -1) -> bytes:
        data = read_all(self.peers[peer])
        self.turn()
        return data

    @property
    def told(self) -> str:
        """The error that was reported in the end; empty for success."""
        for _ in range(100):
            if not self.outcomes:
                self.passes(0.05)
        (outcome,) = self.outcomes
        return str(outcome) if outcome else ""

    def close(self) -> None:
        if self.playing:
            self.playing.cancel()
        self.closer.close_all()
        self.output.stop()


@contextmanager
def shown(loop: Loop, events: list[Event]) -> Iterator[tuple[Context, int]]:
    """A context whose standard output is a pipe, and the pipe's other end."""
    out, into = os.pipe()
    output = Output(loop, into)
    nothing: Any = None
    try:
        yield kit.context(loop, Stdio(nothing, output, "utf-8"), events.append), out
    finally:
        output.when_writable(None)
        loop.when_readable(output.descriptor, None)
        kit.close_stdio(output, into)
        os.close(into)
        os.close(out)


def recording(folder: Path, *records: Record) -> Recording:
    path = folder / "it.rec"
    path.write_bytes(b"".join(map(JsonLines().show, [Begun(NOW, "test"), *records, Exit(NOW, 0)])))
    return Recording(str(path), "it.rec")


def programme(recording: Recording, *, once: bool = True, verify: bool = False) -> Programme:
    """The server's side of all of `recording`."""
    play = PlayOptions(serving=True, lockstep=True, verify=verify)
    found = Index(frozenset())
    for read in recording.read():
        if read:
            found.add(read)
    return Programme(recording, found, play, None, once, not verify)


@contextmanager
def beside(work: Callable[[], None]) -> Iterator[None]:
    """Does `work` in a thread, as a client that blocks; what it raises fails the test."""
    failures: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        thread.join(kit.WAIT)
    assert not thread.is_alive()
    if failures:
        raise failures[0]
