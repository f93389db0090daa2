"""udp-client: standard input to one address, the answers to standard output."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sockkit.core.ending import idle_error
from sockkit.core.peers import PeerTable
from sockkit.core.units import show_count, show_seconds
from sockkit.errors import ConnectError, ReceiveError, SockkitError, TextError, TimedOut
from sockkit.events import Aimed, ConnectFailed, Emit, Failure, Peer
from sockkit.net.ends.stdio import Stdio
from sockkit.net.loop import Loop, Timer
from sockkit.net.resolve import Endpoint, show_address
from sockkit.net.udp.datagrams import DatagramSocket, Received
from sockkit.net.udp.posting import Posting, PostOptions
from sockkit.values import Value

BLOCKED_CHECK = 0.1  # seconds between looks at what the system does not take
LINGER = 1.0  # seconds without an answer that end it once standard input has ended


class AnswerOptions(Value):
    """How many answers to wait for, and how long; times are seconds.

    With `expect` that many answers end it, and `timeout` after the end of standard input is
    too long to wait for them. Without it a silence of `linger` does, None for LINGER. `idle`,
    if given, bounds the silence of both sides at any time.
    """

    expect: int | None = None
    timeout: float = 10.0
    linger: float | None = None
    idle: float | None = None


class UdpSession:
    """Owns its socket. `to` is where datagrams go, `others` are to be used when that refuses."""

    def __init__(
        self,
        loop: Loop,
        sock: DatagramSocket,
        to: Endpoint,
        stdio: Stdio,
        options: tuple[PostOptions, AnswerOptions],
        emit: Emit,
        others: Iterator[tuple[DatagramSocket, Endpoint]] | None = None,
    ) -> None:
        self._loop, self._output, self._emit = loop, stdio.output, emit
        self._typed, self._unencoded = stdio.input.terminal, False  # a line that was typed
        self._socket, self._others = sock, others or iter(())
        post, self._options = options
        self._connected = sock.connected
        self._peer = Peer(0, str(to))
        self._peers = PeerTable()
        self._timer: Timer | None = None
        self._ended_at: float | None = None
        self._active_at = loop.now
        self._refused: SockkitError | None = None
        target: Any = None if self._connected else to.address
        self._posting = Posting(
            loop,
            sock,
            stdio,
            post,
            emit,
            targets=lambda: [target],
            heard=self._heard,
            on_input_end=self._input_ended,
            on_fail=self._failed,
        )

    def _output_gone(self, error: SockkitError) -> None:
        raise error

    def run(self) -> None:
        """Return when all was sent and the answers have come. Raises SockkitError."""
        try:
            self._output.when_gone(self._output_gone)
            if self._connected:
                self._posting.remember()
            self._posting.start()
            self._review()
            self._loop.run()
            if self._refused:
                raise self._refused
        except SockkitError as error:
            sent, received = self._posting.sent, self._posting.received
            error.so_far = f"sent {show_count(sent.count, 'datagram')}, received {received.count:,}"
            if lost := self._posting.output.lost():
                error.so_far += f", {lost}"
            raise
        finally:
            if self._timer:
                self._timer.cancel()
            self._posting.stop()
            self._socket.close()
        if self._posting.cut:
            raise ReceiveError(f"{show_count(self._posting.cut, 'datagram')} came in part")
        if self._posting.unshown:
            raise TextError(f"{show_count(self._posting.unshown, 'datagram')} could not be decoded")
        if self._unencoded:
            raise TextError("part of what was typed was not sent")

    def _failed(self, error: SockkitError) -> None:
        """End, unless another address may answer, or a typed line can be typed again."""
        if isinstance(error, ConnectError):
            if not self._refused:
                self._loop.call_soon(self._move_on)
            self._refused = error
        elif self._typed and isinstance(error, TextError):
            self._unencoded = True
            self._emit(Failure(f"this line was not sent: {error}"))
        else:
            raise error

    def _move_on(self) -> None:
        """The address has refused: use the next one of the name, if what was sent is known."""
        error, self._refused = self._refused, None
        assert error
        if not self._posting.move(self._next_socket):
            raise error

    def _next_socket(self) -> DatagramSocket | None:
        self._socket.close()  # first: its port may be the one that was asked for
        following = next(self._others, None)
        if not following:
            return None
        self._emit(ConnectFailed(self._peer.address, "connection refused"))
        self._socket, to = following
        self._peer = Peer(0, str(to))
        self._emit(Aimed(str(to), self._socket.address))
        return self._socket

    def _heard(self, got: Received) -> Peer:
        self._active_at = self._loop.now
        if self._ended_at is not None and self._options.expect is not None:
            self._loop.call_soon(self._review)  # once it is counted
        if self._connected:
            return self._peer
        return self._peers.heard(got.address, show_address(got.address)).peer

    def _input_ended(self) -> None:
        self._ended_at = self._active_at = self._loop.now
        self._review()

    def _review(self) -> None:
        """Finish when everything has come; otherwise wait, for as long as it may last."""
        if self._timer:
            self._timer.cancel()
        now = self._loop.now
        self._active_at = max(self._active_at, self._posting.sent_at)
        waits: list[tuple[float, SockkitError | None]] = []
        if self._options.idle is not None:
            idle = self._options.idle
            waits.append((self._active_at + idle, idle_error(idle)))
        if self._ended_at is not None:
            waits.append(self._answers_wait(self._ended_at))
        if waits:
            when, error = min(waits, key=lambda wait: wait[0])
            if when > now:
                self._timer = self._loop.at(when, self._review)
            elif not self._posting.idle:
                self._timer = self._loop.later(BLOCKED_CHECK, self._review)
            elif error:
                raise error
            else:
                self._posting.finish()

    def _answers_wait(self, since: float) -> tuple[float, SockkitError | None]:
        """Until when to wait for answers, and what it means if that comes."""
        expect, timeout = self._options.expect, self._options.timeout
        if expect is None:
            linger = LINGER if self._options.linger is None else self._options.linger
            return self._active_at + linger, None
        got = self._posting.received.count
        if got >= expect:
            return since, None
        within = show_seconds(timeout)
        return since + timeout, TimedOut(f"{got} of {expect} answers came within {within}")
