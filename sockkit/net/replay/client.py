"""Plays the client's side: a connection, or a datagram socket, for each recorded conversation."""

from __future__ import annotations

from functools import partial

from sockkit.core.address import Address
from sockkit.core.player import Conversation
from sockkit.errors import SockkitError, UsageError
from sockkit.net.closing import Closer
from sockkit.net.context import Context
from sockkit.net.ends.end import End
from sockkit.net.options import SocketOptions
from sockkit.net.replay.lines import Line, StreamLine
from sockkit.net.replay.playing import Playing
from sockkit.net.tcp.dial import ConnectOptions, dial
from sockkit.net.waiting import OnDone, Pending

READ_BYTES = 64 * 1024


class Dialler:
    """Opens lines to `address`."""

    def __init__(
        self, context: Context, address: Address, connect: ConnectOptions, sockets: SocketOptions
    ) -> None:
        self._context, self._address = context, address
        self._connect, self._sockets = connect, sockets
        self._closer = Closer(context.loop)
        self._buffer = memoryview(bytearray(sockets.buffer_size or READ_BYTES))

    def close(self) -> None:
        """Close at once the connections that are still closing."""
        self._closer.close_all()

    def open(self, playing: Playing, conversation: Conversation, on_done: OnDone[Line]) -> Pending:
        """Open a line for `conversation`. Records of it have the same peer number."""
        open_kind = self._open_datagrams if conversation.datagrams else self._open_stream
        return open_kind(playing, conversation, on_done)

    def _open_stream(
        self, playing: Playing, conversation: Conversation, on_done: OnDone[Line]
    ) -> Pending:
        def connected(outcome: End | SockkitError) -> None:
            if isinstance(outcome, SockkitError):
                on_done(outcome)
            else:
                made = StreamLine(playing, conversation, outcome, self._closer, self._buffer)
                on_done(made)

        connect = self._connect._replace(number=conversation.stream.number)
        return dial(self._context, self._address, connect, self._sockets, connected)

    def _open_datagrams(
        self, playing: Playing, conversation: Conversation, on_done: OnDone[Line]
    ) -> Pending:
        from sockkit.net.replay.datagram_line import DatagramLine
        from sockkit.net.udp.open import Route, UdpOptions, connect_datagrams, find_routes

        sockets = self._sockets.for_datagrams()
        check_datagrams(self._context, encrypted=self._connect.tls is not None)

        def found(outcome: list[Route] | SockkitError) -> None:
            if isinstance(outcome, SockkitError):
                on_done(outcome)
                return
            try:
                aims = connect_datagrams(
                    self._context, self._address, outcome, sockets, UdpOptions()
                )
                sock, to = next(aims)
            except SockkitError as error:
                on_done(error)
                return
            if sock.tap:
                sock.tap.number = conversation.stream.number
            where = None if sock.connected else to.address
            on_done(DatagramLine(playing, conversation, sock, where))

        find = partial(find_routes, self._context, self._address, self._connect, sockets)
        return find(found)


def check_datagrams(context: Context, *, encrypted: bool) -> None:
    """Raise UsageError for options that make no sense for datagrams."""
    if encrypted:
        raise UsageError("the recording has datagrams, which --tls cannot encrypt", "remove --tls")
    if context.views and context.views.frames:
        raise UsageError("the recording has datagrams, which are frames already", "remove --frame")
