"""udp-server: writes what all peers send, and sends standard input to some of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sockkit.core.peers import PeerTable, Recipient
from sockkit.errors import OutputGone, ReceiveError, SendError, SockkitError, TextError, raise_lost
from sockkit.events import Failure, NewPeer, Notice, Peer, PeerForgotten, PeerUser
from sockkit.net.context import Context
from sockkit.net.endpoint import show_address
from sockkit.net.udp.datagrams import MAX_PAYLOAD_BYTES, DatagramSocket, Received
from sockkit.net.udp.exchange import DatagramExchange, Messages
from sockkit.net.udp.reply_filter import ReplyFilter

# Stands for all unix sockets without an address. The user sees it, but cannot send to it.
NAMELESS_PEER = Peer(0, "unix")
STAYS = "stdin has ended; datagrams are still received (Ctrl-C ends)"


class DatagramServer:
    """Owns neither the socket nor the standard streams.

    `answer` says which peers get standard input. `reply`, if any, answers each datagram.
    """

    def __init__(
        self,
        context: Context,
        sock: DatagramSocket,
        messages: Messages,
        answer: Recipient,
        reply: bytes | None,
    ) -> None:
        self._loop, self._emit = context.loop, context.emit
        self._answer, self._reply = answer, reply
        self.answers = reply is not None
        self._table = PeerTable()
        self._reply_filter = ReplyFilter(sock, context.emit)
        self._unsent = self._unreceived = self._unencoded = 0  # datagrams
        self._replying = False
        self._exchange = DatagramExchange(context, sock, messages, self)

    def run(self, on_typed: Callable[[bytes], None] | None = None) -> None:
        """Serve until `quit`. Raises SockkitError, also for a signal."""
        try:
            self._exchange.start(on_typed)
            self._loop.run()
            self._raise_lost()
        except OutputGone:
            raise
        except SockkitError as error:
            error.so_far = self._exchange.receiver.output.lost()
            raise
        finally:
            self._exchange.stop()

    def moved(self) -> tuple[int, int]:
        """The bytes of the datagrams sent and received so far."""
        return self._exchange.moved()

    def _raise_lost(self) -> None:
        raise_lost(
            (self._unsent, "{} not sent", SendError),
            (self._unreceived, "{} not received", ReceiveError),
            (self._exchange.receiver.cut, "{} truncated", ReceiveError),
            (self._unencoded, "{} not encoded", TextError),
            (self._exchange.receiver.undecoded, "{} not decoded", TextError),
            what="datagrams: ",
        )

    # For the operator's console.

    def peers(self) -> list[tuple[Peer, str]]:
        return [(peer, "") for peer in self._table.peers()]

    def last(self) -> Peer | None:
        return self._table.last()

    def say(self, number: int | None, data: bytes, *, raw: bool = False) -> None:
        targets = self._addresses(number)
        if raw:
            self._exchange.sender.send(data, MAX_PAYLOAD_BYTES, targets)
        else:
            self._exchange.sender.send_lines(data.removesuffix(b"\n").split(b"\n"), targets)

    def send_file(self, number: int | None, path: str) -> None:
        self._exchange.send_file(path, self._addresses(number))

    def quit(self) -> None:
        self._exchange.finish()

    def _addresses(self, number: int | None) -> list[Any]:
        return self._everybody() if number is None else [self._table.address(number)]

    # For the exchange.

    def _everybody(self) -> list[Any]:
        return [self._table.address(peer.number) for peer in self._table.peers()]

    def targets(self) -> list[Any]:
        if self._answer is Recipient.ALL:
            return self._everybody()
        last = self._table.last()
        return [self._table.address(last.number)] if last else []

    def input_ended(self) -> None:
        if self._exchange.sender.total.count and not self.answers:
            self._emit(Notice(STAYS))  # peers may still send

    def failed(self, error: SockkitError) -> None:
        if isinstance(error, ReceiveError):
            self._unreceived += 1
        elif isinstance(error, TextError):
            self._unencoded += 1
        else:
            self._unsent += 1
        about = "an answer: " if self._replying and error.kind else ""
        self._emit(Failure(str(error), about + error.kind))

    def received(self, got: Received) -> Peer:
        if not self._reply_filter.has_address(got.address):
            return NAMELESS_PEER
        first = not len(self._table)
        heard = self._table.heard(got.address, show_address(got.address))
        if heard.forgotten:
            self._emit(PeerForgotten(heard.forgotten))
        if heard.new:
            self._emit(NewPeer(heard.peer))
            if got.credentials:
                self._emit(PeerUser(heard.peer, *got.credentials))
        if self._reply is not None and self._reply_filter.answerable(got.address):
            self._replying = True  # failures of answers are counted apart from those of input
            for _ in got.datagrams():
                self._exchange.sender.send(self._reply, MAX_PAYLOAD_BYTES, [got.address])
            self._replying = False
        if first:
            self._loop.call_soon(self._exchange.review)
        return heard.peer
