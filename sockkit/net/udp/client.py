"""udp-client: sends standard input to one address, and writes the answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sockkit.core.answers import AnswerOptions, AnswerWait
from sockkit.core.peers import PeerTable
from sockkit.core.units import show_count, show_seconds
from sockkit.errors import ConnectError, ReceiveError, SendError, SockkitError, Stopped, TextError
from sockkit.events import ConnectFailed, Failure, Peer, PeerUser, TargetChosen
from sockkit.net.context import Context
from sockkit.net.endpoint import Endpoint, show_address
from sockkit.net.loop import Timer
from sockkit.net.udp.datagrams import MAX_PAYLOAD_BYTES, DatagramSocket, Received
from sockkit.net.udp.exchange import DatagramExchange, Messages

BLOCKED_CHECK_SECONDS = 0.1  # between checks whether all that waits has been sent and written

Aim = tuple[DatagramSocket, Endpoint]  # a socket, and where its datagrams go


class DatagramClient:
    """Owns the socket of `aim`, and each socket that it takes from `others`.

    If an address refuses datagrams, it goes on with the next of `others`.
    """

    answers = False

    def __init__(
        self,
        context: Context,
        aim: Aim,
        others: Iterator[Aim],
        messages: Messages,
        options: AnswerOptions,
    ) -> None:
        self._context, self._others = context, others
        self._socket, to = aim
        self._connected = self._socket.connected
        self._targets: list[Any] = [None if self._connected else to.address]
        self._peer = Peer(0, str(to))
        self._peers = PeerTable()
        self._wait = AnswerWait(options, context.loop.now)
        self._timer: Timer | None = None
        self._refused: SockkitError | None = None
        self._unencoded = False  # whether a typed line could not be converted
        self._exchange = DatagramExchange(context, self._socket, messages, self)

    def run(self) -> None:
        """Run until all input is sent and the answers are written. Raises SockkitError."""
        try:
            if self._connected:
                self._exchange.sender.keep_first()
            self._exchange.start()
            self._review()
            self._context.loop.run()
            if self._refused:
                raise self._refused
        except SockkitError as error:
            error.so_far = self._so_far()
            if isinstance(error, Stopped):
                self._exchange.leave()
            raise
        finally:
            if self._timer:
                self._timer.cancel()
            self._exchange.stop()
            self._socket.close()
        receiver = self._exchange.receiver
        if receiver.cut:
            raise ReceiveError(f"{show_count(receiver.cut, 'datagram')} truncated")
        if receiver.undecoded:
            raise TextError(f"{show_count(receiver.undecoded, 'datagram')} not decoded")
        if self._unencoded:
            raise TextError("part of what was typed was not sent", "the lines above say why")

    def moved(self) -> tuple[int, int]:
        """The bytes of the datagrams sent and received so far."""
        return self._exchange.moved()

    def _so_far(self) -> str:
        sender, receiver = self._exchange.sender, self._exchange.receiver
        sent = show_count(sender.total.count, "datagram")
        lost = receiver.output.lost()
        return f"sent {sent}, received {receiver.total.count:,}" + (lost and f", {lost}")

    # For the commands of the Ctrl-] prompt.

    def peers(self) -> list[tuple[Peer, str]]:
        exchange = self._exchange
        sent, got = exchange.sender.total.count, exchange.receiver.total.count
        return [(self._peer, f"sent {show_count(sent, 'datagram')}, received {got:,}")]

    def say(self, data: bytes) -> None:
        self._exchange.sender.send(data, MAX_PAYLOAD_BYTES, self._targets)
        self._exchange.review()

    def send_file(self, path: str) -> None:
        self._exchange.send_file(path, self._targets)

    # For the exchange.

    def targets(self) -> list[Any]:
        return self._targets

    def received(self, got: Received) -> Peer:
        loop = self._context.loop
        if got.credentials and not self._exchange.receiver.total.count:
            self._context.emit(PeerUser(self._peer, *got.credentials))
        self._exchange.sender.forget_first()
        self._wait.active(loop.now)
        if self._wait.counts:
            loop.call_soon(self._review)  # after it has been counted
        if self._connected:
            return self._peer
        return self._peers.heard(got.address, show_address(got.address)).peer

    def input_ended(self) -> None:
        self._wait.end_input(self._context.loop.now)
        self._review()

    def failed(self, error: SockkitError) -> None:
        """Raise `error`, unless another address can be tried, or a typed line was wrong."""
        if isinstance(error, ConnectError):
            if not self._refused:
                self._context.loop.call_soon(self._move_on)
            self._refused = error
        elif isinstance(error, TextError) and self._context.stdio.input.terminal:
            self._unencoded = True
            self._context.emit(Failure(f"this line was not sent: {error}"))
        else:
            raise error

    # The next address.

    def _move_on(self) -> None:
        """The address has refused: try the next one, if everything sent so far can be resent."""
        error, self._refused = self._refused, None
        assert error
        self._context.emit(ConnectFailed(self._peer.address, error.why))
        if not self._exchange.sender.can_resend() or not self._aim_at_next():
            raise error
        self._exchange.move(self._socket)

    def _aim_at_next(self) -> bool:
        """Open the next socket, if there is one."""
        self._socket.close()  # first: the next socket may need its port
        following = next(self._others, None)
        if not following:
            return False
        self._socket, to = following
        self._peer = Peer(0, str(to))
        self._context.emit(TargetChosen(str(to), self._socket.address))
        return True

    def _check_taken(self, error: SockkitError | None) -> None:
        """Raise an error if datagrams wait because the peer accepts none: `error`, or SendError."""
        if not (self._socket.waits_for_peer and self._exchange.sender.outbox.waits):
            return  # we wait for standard output, or for our own system
        if error:
            raise error
        from sockkit.net.delivery import MAX_STALL_SECONDS

        if self._context.loop.now >= self._wait.active_at + MAX_STALL_SECONDS:
            stall = show_seconds(MAX_STALL_SECONDS)
            raise SendError(f"{self._peer.address} accepted no data for {stall}")

    def _review(self) -> None:
        """Finish once the answers have come; otherwise set the timer for the next check."""
        if self._timer:
            self._timer.cancel()
        loop, sender = self._context.loop, self._exchange.sender
        self._wait.active(sender.sent_at)
        bound = self._wait.bound(self._exchange.receiver.total.count)
        if not bound:
            return
        when, error = bound
        if when > loop.now:
            self._timer = loop.at(when, self._review)
        elif not self._exchange.idle:
            self._check_taken(error)
            self._timer = loop.later(BLOCKED_CHECK_SECONDS, self._review)
        elif error:
            raise error
        else:
            self._exchange.finish()
