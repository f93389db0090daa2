"""udp-server: what anybody sends to standard output, standard input to whom one chooses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sockkit.core.peers import PeerTable, Recipient
from sockkit.errors import OutputGone, ReceiveError, SendError, SockkitError, TextError, raise_lost
from sockkit.events import Emit, Failure, Forgotten, Heard, Peer
from sockkit.net.ends.stdio import Stdio
from sockkit.net.loop import Loop
from sockkit.net.resolve import show_address
from sockkit.net.udp.datagrams import LARGEST, DatagramSocket, Received
from sockkit.net.udp.posting import Posting, PostOptions
from sockkit.net.udp.sources import Sources
from sockkit.values import Value


class UdpHubOptions(Value):
    """`answer` is whom standard input goes to, `reply` what each datagram is answered with."""

    post: PostOptions
    answer: Recipient = Recipient.LAST
    reply: bytes | None = None


class UdpHub:
    """Owns nothing: socket and standard streams are closed elsewhere."""

    def __init__(
        self, loop: Loop, sock: DatagramSocket, stdio: Stdio, options: UdpHubOptions, emit: Emit
    ) -> None:
        self._loop, self._options, self._emit = loop, options, emit
        self._output = stdio.output
        self._table = PeerTable()
        self._sources = Sources(sock, emit)
        self._unsent = self._missed = self._refused = 0  # datagrams
        self._replying = False
        self._posting = Posting(
            loop,
            sock,
            stdio,
            options.post,
            emit,
            targets=self._targets,
            heard=self._heard,
            on_input_end=lambda: None,
            on_fail=self._fail,
        )

    def _output_gone(self, error: SockkitError) -> None:
        raise error

    def run(self, on_typed: Callable[[bytes], None] | None = None) -> None:
        """Serve until `quit`, or until something raises: a signal, an output that is full."""
        try:
            self._output.when_gone(self._output_gone)
            self._posting.start(on_typed)
            self._loop.run()
            self._raise_lost()
        except OutputGone:
            raise
        except SockkitError as error:
            error.so_far = self._posting.output.lost()
            raise
        finally:
            self._posting.stop()

    def _raise_lost(self) -> None:
        raise_lost(
            (self._unsent, "{} not sent", SendError),
            (self._missed, "{} not received", ReceiveError),
            (self._posting.cut, "{} received in part", ReceiveError),
            (self._refused, "{} not encoded", TextError),
            (self._posting.unshown, "{} not decoded", TextError),
            what="datagrams: ",
        )

    def _fail(self, error: SockkitError) -> None:
        if isinstance(error, ReceiveError):
            self._missed += 1
        elif isinstance(error, TextError):
            self._refused += 1
        else:
            self._unsent += 1
        about = "an answer: " if self._replying and error.kind else ""
        self._emit(Failure(str(error), about + error.kind))

    # What the operator's console needs.

    def peers(self) -> list[tuple[Peer, str]]:
        return [(peer, "") for peer in self._table.peers()]

    def last(self) -> Peer | None:
        return self._table.last()

    def say(self, number: int | None, data: bytes, *, raw: bool = False) -> None:
        targets = self._everybody() if number is None else [self._table.address(number)]
        if raw:
            self._posting.post(data, targets, LARGEST)
        else:
            self._posting.post_lines(data.removesuffix(b"\n").split(b"\n"), targets)

    def quit(self) -> None:
        self._posting.finish()

    # What peers send.

    def _everybody(self) -> list[Any]:
        return [self._table.address(peer.number) for peer in self._table.peers()]

    def _targets(self) -> list[Any]:
        if self._options.answer is Recipient.ALL:
            return self._everybody()
        last = self._table.last()
        return [self._table.address(last.number)] if last else []

    def _heard(self, got: Received) -> Peer:
        first = not len(self._table)
        heard = self._table.heard(got.address, show_address(got.address))
        if heard.forgotten:
            self._emit(Forgotten(heard.forgotten))
        if heard.new:
            self._emit(Heard(heard.peer))
        if self._options.reply is not None and self._sources.answerable(got.address):
            self._replying = True  # what is typed and cannot be sent is not lost among these
            for _ in got.datagrams():
                self._posting.post(self._options.reply, [got.address], LARGEST)
            self._replying = False
        if first:
            self._loop.call_soon(self._posting.review)
        return heard.peer
