"""Plays the server's side to each peer that sends datagrams: see net/replay/server.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sockkit.core.player import Conversation
from sockkit.errors import SockkitError
from sockkit.events import Failure
from sockkit.net.context import Context
from sockkit.net.endpoint import show_address
from sockkit.net.replay.lines import Host, Line
from sockkit.net.replay.playing import MAX_LINES, Playing
from sockkit.net.replay.server import House, Programme
from sockkit.net.udp.datagrams import DatagramSocket, Received
from sockkit.net.udp.service import DatagramService
from sockkit.net.waiting import Done, OnDone, Pending

MAX_WAITING_BYTES = 256 * 1024  # while more answers wait for the system, nothing is received
MAX_EARLY_DATAGRAMS = 64  # kept of a peer until we have read its conversation in the recording


class PeerLine:
    """One peer as a line. `send` sends it a datagram."""

    undelivered = 0

    def __init__(
        self, address: Any, send: Callable[[bytes], None], is_clogged: Callable[[], bool]
    ) -> None:
        self.address, self.send, self._is_clogged = address, send, is_clogged
        self._early: list[bytes] = []
        self._host: Host | None = None
        self._conversation: Conversation | None = None
        self.playing: Playing | None = None

    def begin(self, host: Host, conversation: Conversation) -> None:
        self._host, self._conversation = host, conversation

    def received(self, datagram: bytes) -> None:
        if self._host and self._conversation:
            self._host.received(self._conversation, datagram)
        elif len(self._early) < MAX_EARLY_DATAGRAMS:
            self._early.append(datagram)

    # What the player asks for.

    @property
    def clogged(self) -> bool:
        return self._is_clogged()

    waiting = clogged

    def start(self) -> None:
        early, self._early = self._early, []
        for datagram in early:
            self.received(datagram)

    def resume(self) -> None:
        pass

    def half_close(self) -> None:
        pass

    def finish(self) -> None:
        host, self._host = self._host, None
        if host and self._conversation:
            host.closed(self._conversation, None)

    reset = stop = finish


class DatagramReplayServer:
    """Does not own the socket. If there are too many peers, it forgets the longest silent one."""

    def __init__(self, context: Context, sock: DatagramSocket, programme: Programme) -> None:
        self._context = context
        self._house = House(context, programme)
        self._lines: dict[Any, PeerLine] = {}  # by address, the longest silent first
        self._service = DatagramService(
            context,
            sock,
            self._received,
            max_waiting=MAX_WAITING_BYTES,
            on_sent=self._house.wake,
        )
        self._on_done: OnDone[None] = lambda _: None
        self._played_once = False

    def run(self) -> None:
        """Serve until a signal raises Stopped; with `once` one peer, whose error it raises."""
        try:
            self._house.run(self._start)
        finally:
            self._service.stop()

    def _start(self, on_done: OnDone[None]) -> Pending:
        self._on_done = on_done
        self._context.stdio.output.when_gone(on_done)
        self._service.start()
        return Done()

    def _received(self, got: Received) -> None:
        if not self._service.answerable(got):
            return
        line = self._lines.pop(got.address, None) or self._new_line(got.address)
        if line:
            self._lines[got.address] = line
            for datagram in got.datagrams():
                line.received(datagram)

    def _new_line(self, address: Any) -> PeerLine | None:
        if self._house.programme.once and self._played_once:
            return None
        self._played_once = True
        if len(self._lines) >= MAX_LINES:
            self._forget(next(iter(self._lines)))
        line = PeerLine(
            address,
            lambda datagram: self._service.send(datagram, address),
            lambda: self._service.outbox.size >= MAX_WAITING_BYTES,
        )

        def open_line(
            playing: Playing, conversation: Conversation, opened: OnDone[Line]
        ) -> Pending:
            line.begin(playing, conversation)
            opened(line)
            return Done()

        line.playing = self._house.play(open_line, lambda outcome: self._played(address, outcome))
        return line

    def _forget(self, address: Any) -> None:
        line = self._lines.pop(address)
        if line.playing:
            self._house.playing.discard(line.playing)
            line.playing.cancel()

    def _played(self, address: Any, outcome: SockkitError | None) -> None:
        self._lines.pop(address, None)
        if self._house.programme.once:
            self._on_done(outcome)
        elif outcome:
            self._context.emit(Failure(f"{show_address(address)}: {outcome}", outcome.kind))
