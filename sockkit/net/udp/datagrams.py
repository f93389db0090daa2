"""Datagram sockets: many datagrams per system call where the kernel can, udp(7)."""

from __future__ import annotations

import errno
import os
import socket
import struct
import time
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from sockkit.errors import REFUSED, ConnectError, ReceiveError, SendError, SockkitError, reason
from sockkit.events import Notice, Peer, SocketCall
from sockkit.net.context import Context
from sockkit.net.endpoint import Endpoint, show_address
from sockkit.net.loop import Callback
from sockkit.net.options import SocketOptions

if TYPE_CHECKING:
    from sockkit.net.openers import Admission
    from sockkit.net.udp.tap import DatagramTap
    from sockkit.net.unix_users import Credentials
    from sockkit.net.views import Views

MAX_RECEIVE_BYTES = 65_536  # bytes of one receive: a datagram, or many of UDP_GRO
MAX_PAYLOAD_BYTES = 65_507  # bytes of a datagram: what IPv4's length field allows, RFC 768
MAX_SEGMENTS = 64  # datagrams that one call may send, UDP_MAX_SEGMENTS
MAX_RECEIVES_PER_TURN = 64  # then the loop serves others
BULK_BYTES_PER_SECOND = 1.25e9  # about as fast as a receiver can write to a file

# From linux/udp.h and asm-generic/socket.h; Python has no names for them.
_SOL_UDP, _UDP_SEGMENT, _UDP_GRO = 17, 103, 104
_SO_RXQ_OVFL = 40
_NO_SEGMENTS = {errno.EINVAL, errno.EIO, errno.ENOPROTOOPT, errno.EOPNOTSUPP, errno.EMSGSIZE}

ControlMessage = tuple[int, int, bytes]  # its level, its type, its data: cmsg(3)


class Received(NamedTuple):
    """The datagrams of one peer that one call has received.

    `data` holds them one after the other, each of `size` bytes; the last may be shorter. It is
    valid until the next call. `true_size` is larger than `data` if a datagram was truncated. On a
    unix socket, `address` is empty if the peer has none, and `credentials` are those of the sender.
    """

    data: memoryview
    size: int
    address: Any
    true_size: int
    credentials: Credentials | None = None

    @property
    def cut(self) -> bool:
        """Whether a datagram was longer than the buffer."""
        return self.true_size > len(self.data)

    def problem(self, sender: str) -> str:
        """The message about a datagram that was cut."""
        return (
            f"a datagram of {self.true_size:,} bytes from {sender} was truncated to "
            f"{len(self.data):,}: use a larger --buffer-size"
        )

    @property
    def starts(self) -> range:
        """The offset in `data` of each datagram."""
        return range(0, max(len(self.data), 1), self.size)

    def datagrams(self) -> list[bytes]:
        """A copy of each datagram."""
        return [bytes(self.data[at : at + self.size]) for at in self.starts]


def segments(size: int) -> int:
    """How many datagrams of `size` bytes one call may send."""
    return max(min(MAX_SEGMENTS, MAX_PAYLOAD_BYTES // size), 1)


class DatagramSocket:
    """Owns a UDP socket. `remote` is the only peer of a connected socket.

    `dialled` is whether the socket is a client's. A datagram is cut to the `buffer_size` of
    `sockets`, if that is set. `incoming` leaves out datagrams that `admission` refuses.

    `dropped` counts the datagrams for which the system had no space, socket(7) SO_RXQ_OVFL.
    `active_at` is the time when a datagram was last sent, or received and admitted. `used` is
    whether one was ever received and admitted.
    """

    max_receive_bytes = MAX_RECEIVE_BYTES  # if `sockets` have no `buffer_size`
    waits_for_peer = False  # whether a datagram that must wait does so for the peer, not our system
    ancillary_bytes = 2 * socket.CMSG_SPACE(4)  # the most bytes of control messages of a receive

    def __init__(
        self,
        context: Context,
        sock: socket.socket,
        remote: Endpoint | None,
        sockets: SocketOptions,
        admission: Admission | None = None,
        *,
        dialled: bool = False,
    ) -> None:
        sock.setblocking(False)
        self._context, self._socket, self._remote = context, sock, remote
        self._admission = admission
        self.bound_to: Any = sock.getsockname()
        self.address = show_address(self.bound_to)
        self.dropped = 0
        self.used, self.active_at = False, context.loop.now
        self.buffer_size = sockets.buffer_size
        self._buffer = memoryview(bytearray(sockets.buffer_size or self.max_receive_bytes))
        self._segments = True
        self._paced_until = 0.0
        self.tap = self._make_tap(context, dialled=dialled)
        self._prepare()

    def _make_tap(self, context: Context, *, dialled: bool) -> DatagramTap | None:
        if not context.views:
            return None
        from sockkit.net.udp.tap import DatagramTap

        remote = self._remote.address if self._remote else None
        return DatagramTap(context.views, self.transport, self.address, remote, dialled=dialled)

    def _prepare(self) -> None:
        """Set the socket options that this kind of socket needs."""
        try_option(self._socket, socket.SOL_SOCKET, _SO_RXQ_OVFL, 1)
        if self.buffer_size is None:
            try_option(self._socket, _SOL_UDP, _UDP_GRO, 1)

    @property
    def transport(self) -> str:
        return "udp" if isinstance(self.bound_to, tuple) else "unix-datagram"

    @property
    def port(self) -> int | None:
        return self.bound_to[1] if isinstance(self.bound_to, tuple) else None

    @property
    def connected(self) -> bool:
        return self._remote is not None

    def adopt(self, context: Context) -> None:
        """Use the loop and the events of a forked process."""
        self._context = context

    @property
    def remote(self) -> Endpoint | None:
        return self._remote

    def watch(self, views: Views, peer: Peer) -> None:
        """Have `views` see the datagrams. Records show `peer`, for which a relay sends them."""
        from sockkit.net.udp.tap import DatagramTap

        assert self._remote
        remote, number = self._remote.address, peer.number
        self.tap = DatagramTap(
            views, self.transport, peer.address, remote, dialled=True, number=number
        )

    def share_buffer(self, other: DatagramSocket) -> None:
        """Receive into the buffer of `other`, to save memory: only one socket is read at a time."""
        self._buffer = other._buffer

    def when_readable(self, callback: Callback | None) -> None:
        """Call `callback` in each turn while there is something to receive; None to stop."""
        watch = partial(self._context.loop.when_readable, self._socket.fileno())
        (self.tap.gate(watch) if self.tap else watch)(callback)

    def when_writable(self, callback: Callback | None) -> None:
        """Call `callback` in each turn while the system accepts datagrams; None to stop."""
        self._context.loop.when_writable(self._socket.fileno(), callback)

    def incoming(self, on_fail: Callable[[SockkitError], None]) -> Iterator[Received]:
        """Receive until nothing is left, a bounded number of times. An error ends it: `on_fail`."""
        for _ in range(MAX_RECEIVES_PER_TURN):
            try:
                got = self.receive()
            except BlockingIOError:
                return
            except SockkitError as error:
                on_fail(error)
                return
            if not self._admission or self._admits(got, self._admission):
                self.used, self.active_at = True, self._context.loop.now
                if self.tap:
                    self.tap.received(got)
                yield got

    def _admits(self, got: Received, admission: Admission) -> bool:
        """Whether the sender is admitted. If not, emits a Notice for each datagram."""
        why = admission.refusal(got.address, got.credentials)
        if why:
            sender = show_address(got.address)
            sender += f", {got.credentials}" if got.credentials else ""
            told = f"dropped a datagram from {sender} ({why})"
            event = Notice(told, f"dropped a datagram ({why})")
            for _ in got.starts:
                self._context.emit(event)
        return not why

    def receive(self) -> Received:
        """Receive once. Raises BlockingIOError, ConnectError, ReceiveError."""
        try:
            size, ancillary, _, address = self._socket.recvmsg_into(
                [self._buffer], self.ancillary_bytes, socket.MSG_TRUNC
            )
        except BlockingIOError:
            raise
        except OSError as error:
            failed = f"receiving failed: {reason(error)}"
            raise self._refused(error) or ReceiveError(failed, kind=failed) from error
        return self._received(size, ancillary, address)

    def _received(self, size: int, ancillary: list[ControlMessage], address: Any) -> Received:
        segment = size
        for level, kind, data in ancillary:
            if level == _SOL_UDP and kind == _UDP_GRO:
                segment = struct.unpack_from("i", data)[0]
            elif level == socket.SOL_SOCKET and kind == _SO_RXQ_OVFL:
                self.dropped = struct.unpack_from("I", data)[0]
        return Received(self._buffer[:size], segment or 1, address, size)

    def send(self, data: bytes | memoryview, size: int, address: Any = None) -> int:
        """Send `data` in datagrams of `size` bytes; returns how many bytes were sent.

        The last datagram may be shorter. Empty `data` is one empty datagram. Raises BlockingIOError
        if none was sent, ConnectError, SendError.
        """
        sent = 0
        try:
            while True:
                moved = self._send_some(data[sent:], size, address)
                if self.tap:
                    self.tap.sent(data[sent : sent + moved], size, address)
                sent += moved
                self.active_at = self._context.loop.now
                if sent == len(data):
                    return sent
        except BlockingIOError:
            if not sent:
                raise
            return sent
        except OSError as error:
            where = show_address(address) if address else self._remote
            if error.errno == errno.EMSGSIZE:
                told = f"a datagram of {min(size, len(data)):,} bytes is too large"
                raise SendError(
                    f"{told} for the path to {where}", kind="a datagram is too large for its path"
                ) from error
            why = reason(error)
            raise self._refused(error) or SendError(
                f"sending to {where} failed: {why}", kind=f"sending failed: {why}"
            ) from error

    def _send_some(self, data: bytes | memoryview, size: int, address: Any) -> int:
        if self._segments and len(data) > size:
            max_bytes = size * segments(size)
            segment = [(_SOL_UDP, _UDP_SEGMENT, struct.pack("H", size))]
            self._pace(min(len(data), max_bytes))
            try:
                return self._socket.sendmsg([data[:max_bytes]], segment, 0, address)
            except OSError as error:
                if error.errno not in _NO_SEGMENTS:
                    raise
                self._segments = False
        datagram = data[:size]
        return self._socket.sendto(datagram, address) if address else self._socket.send(datagram)

    def _pace(self, size: int) -> None:
        """Wait some microseconds, so that we send no faster than BULK_BYTES_PER_SECOND.

        UDP has no flow control. This spins, because no timer is precise enough.
        """
        while (now := time.perf_counter()) < self._paced_until:
            os.sched_yield()
        self._paced_until = now + size / BULK_BYTES_PER_SECOND

    def _refused(self, error: OSError) -> SockkitError | None:
        """The error for an ICMP refusal. A later call on a connected socket reports it."""
        if error.errno != errno.ECONNREFUSED:
            return None
        why = reason(error)
        refusal = ConnectError(f"could not reach {self._remote}: {why}", kind=REFUSED)
        refusal.why = why
        return refusal

    def close(self) -> None:
        """Close the socket, and emit how many datagrams were lost. May be called twice."""
        if self._socket.fileno() < 0:
            return
        emit = self._context.emit
        if self.dropped:
            lost = f"at least {self.dropped:,} lost"
            emit(Notice(f"datagrams came faster than they were read: {lost}"))
        emit(SocketCall("close", f"the socket on {self.address}"))
        self.when_readable(None)
        self.when_writable(None)
        self._socket.close()


class DatagramOutbox:
    """Sends the datagrams that the system accepts now, and keeps the rest in order.

    There is no bound: check `size`, the number of waiting bytes, or `waits` before you put more.
    `on_sent` is called with the number of bytes sent and the size of their datagrams. `on_fail` is
    called with the error if datagrams had to be dropped. `on_empty` is called when all waiting
    datagrams have been sent.
    """

    def __init__(
        self,
        sock: DatagramSocket,
        *,
        on_empty: Callable[[], None],
        on_fail: Callable[[SockkitError], None],
        on_sent: Callable[[int, int], None] = lambda size, segment: None,
    ) -> None:
        self._socket = sock
        self._on_empty, self._on_fail, self._on_sent = on_empty, on_fail, on_sent
        self._pending: deque[tuple[bytes, int, Any]] = deque()
        self.size = 0

    @property
    def waits(self) -> bool:
        """Whether a datagram waits, even an empty one, or the views are full."""
        return bool(self._pending) or bool(self._socket.tap and self._socket.tap.full)

    @property
    def count(self) -> int:
        """How many calls of `put` still have datagrams that wait."""
        return len(self._pending)

    def use(self, sock: DatagramSocket) -> None:
        """Drop the waiting datagrams, and send through `sock` from now on."""
        self.stop()
        self._socket = sock

    def put(self, data: bytes | memoryview, size: int, address: Any = None) -> None:
        """Send `data` in datagrams of `size` bytes, or keep a copy. The last may be shorter."""
        rest = data if self._pending else self._send(data, size, address)
        if rest is not None:
            self._pending.append((bytes(rest), size, address))
            self.size += len(rest)
            self._socket.when_writable(self._ready)

    def stop(self) -> None:
        """Drop the waiting datagrams."""
        if self._pending:
            self._pending.clear()
            self.size = 0
            self._socket.when_writable(None)

    def _send(self, data: bytes | memoryview, size: int, address: Any) -> bytes | memoryview | None:
        """Send as much as the system accepts. Returns the rest; None if nothing is left."""
        try:
            sent = self._socket.send(data, size, address)
        except BlockingIOError:
            return data
        except SockkitError as error:
            self._on_fail(error)
            return None
        self._on_sent(sent, size)
        if self._socket.tap and self._socket.tap.full:
            self._socket.tap.when_room(self._has_room)
        return data[sent:] if sent < len(data) else None

    def _has_room(self) -> None:
        if not self._pending:
            self._on_empty()

    def _ready(self) -> None:
        while self._pending:
            data, size, address = self._pending[0]
            rest = self._send(data, size, address)
            self.size -= len(data) - len(rest or b"")
            if rest is not None:
                self._pending[0] = (bytes(rest), size, address)
                return
            self._pending.popleft()
        self._socket.when_writable(None)
        self._on_empty()


def try_option(sock: socket.socket, level: int, name: int, value: int) -> None:
    """Set a socket option that we can do without: ignore a system that does not have it."""
    try:
        sock.setsockopt(level, name, value)
    except OSError:
        pass
