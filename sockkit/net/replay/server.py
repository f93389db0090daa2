"""Plays the server's side: each client gets the next recorded conversation, over and over again.

This module is for connections; net/replay/udp_server.py does the same with datagrams.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sockkit.core.player import Conversation, Player, PlayOptions, Step
from sockkit.errors import Differs, SockkitError
from sockkit.events import Closed, Peer
from sockkit.net.closing import Closer
from sockkit.net.connection import Connection
from sockkit.net.context import Context
from sockkit.net.ends.end import End
from sockkit.net.replay.answers import Answers
from sockkit.net.replay.client import READ_BYTES
from sockkit.net.replay.lines import Line, StreamLine
from sockkit.net.replay.playing import Playing, PlayingOptions
from sockkit.net.replay.recording import Index, Recording, conversation_steps
from sockkit.net.tcp.listen import Listener
from sockkit.net.waiting import Done, OnDone, Pending, Start, wait_for
from sockkit.values import Value


class Programme(Value):
    """What to play: the conversations `found` in a recording.

    Unless `shows`, received bytes are not written to standard output.
    """

    recording: Recording
    found: Index
    play: PlayOptions
    idle: float | None = None
    once: bool = False
    shows: bool = True


class House:
    """What all conversations being played share: which one is next, and standard output."""

    def __init__(self, context: Context, programme: Programme) -> None:
        self.context, self.programme = context, programme
        self._next = 0
        self.playing: set[Playing] = set()
        self.output = Answers(context)
        self.output.on_room = self.wake

    def next_steps(self) -> tuple[Player, Iterator[Step | None]]:
        """The player of the next conversation, and its steps."""
        index, player = self.programme.found, Player(self.programme.play)
        place = index[self._next % len(index)]
        self._next += 1
        return player, conversation_steps(self.programme.recording, player, place)

    def play(
        self,
        open_line: Callable[[Playing, Conversation, OnDone[Line]], Pending],
        on_done: Callable[[SockkitError | None], None],
    ) -> Playing:
        """Play the next conversation. Shows a difference from it before it calls `on_done`."""

        def done(outcome: SockkitError | None) -> None:
            self.playing.discard(playing)
            if isinstance(outcome, Differs):
                self.output.show(outcome)
            on_done(outcome)

        player, steps = self.next_steps()
        shown = self.output if self.programme.shows else None
        options = PlayingOptions(shown, self.programme.idle)
        playing = Playing(self.context, steps, player, open_line, options, done)
        self.playing.add(playing)
        return playing

    def wake(self) -> None:
        for each in list(self.playing):
            each.wake()

    def run(self, start: Start[None]) -> None:
        """Run until a signal raises Stopped, or `start` reports the end. Raises SockkitError."""
        try:
            wait_for(self.context.loop, start)
            self.output.drain()
        except Differs:
            self.output.drain()
            raise
        finally:
            for each in list(self.playing):
                each.cancel()
            self.output.stop()


class ReplayServer:
    """Owns neither the listener nor the recording."""

    def __init__(self, context: Context, listener: Listener, programme: Programme) -> None:
        self._context, self._listener = context, listener
        self._house = House(context, programme)
        self._closer = Closer(context.loop)
        self._buffer = memoryview(bytearray(READ_BYTES))
        self._on_done: OnDone[None] = lambda _: None

    def run(self) -> None:
        """Serve until a signal raises Stopped; with `once` one connection: raises its error."""
        try:
            self._house.run(self._start)
        finally:
            self._listener.close()
            self._closer.close_all()

    def _start(self, on_done: OnDone[None]) -> Pending:
        self._on_done = on_done
        self._context.stdio.output.when_gone(on_done)
        self._listener.accept(self._accepted)
        return Done()

    def _accepted(self, end: End) -> None:
        if self._house.programme.once:
            self._listener.close()
        self._closer.make_space()
        lines: list[StreamLine] = []

        def open_line(
            playing: Playing, conversation: Conversation, opened: OnDone[Line]
        ) -> Pending:
            lines.append(StreamLine(playing, conversation, end, self._closer, self._buffer))
            opened(lines[0])
            return Done()

        self._house.play(open_line, lambda outcome: self._played(end, lines, outcome))

    def _played(self, end: End, lines: list[StreamLine], outcome: SockkitError | None) -> None:
        self._listener.released()
        if not lines:
            end.close()
        for line in lines:
            self._context.emit(_closed(end.peer, line.connection, outcome))
        if self._house.programme.once:
            self._on_done(outcome)


def _closed(peer: Peer, connection: Connection, error: SockkitError | None) -> Closed:
    sent, received, seconds = connection.bytes_sent, connection.bytes_received, connection.seconds
    if not error:
        return Closed(peer, sent, received, seconds=seconds)
    kind = error.kind or "it was not played to its end"
    return Closed(peer, sent, received, str(error), kind, seconds=seconds)
