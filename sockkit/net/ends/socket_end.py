"""Connected stream sockets as ends: TCP and unix sockets."""

from __future__ import annotations

import errno
import select
import socket
import struct
from collections.abc import Callable

from sockkit.core.address import Address
from sockkit.errors import SockkitError
from sockkit.events import Emit, Peer, SocketCall
from sockkit.net.endpoint import to_address
from sockkit.net.ends.end import Callback, Kind, os_error, receive_error, send_error
from sockkit.net.loop import Loop
from sockkit.system import FIONREAD, TIOCOUTQ, ioctl_number

_POLLRDHUP: int = getattr(select, "POLLRDHUP", 0)  # only Linux has it
_SO_BUF_LOCK = 72  # Linux, asm-generic/socket.h: which buffers have a size that was asked for
_SNDBUF_LOCKED = 1


class SocketEnd:
    """Owns a connected stream socket. Its errors name the peer by its address."""

    __slots__ = (
        "_emit",
        "_half_closed",
        "_loop",
        "_on_reset",
        "_resets",
        "_socket",
        "_was_lent",
        "descriptor",
        "peer",
        "remote",
    )
    kind = Kind.SOCKET

    def __init__(
        self,
        loop: Loop,
        sock: socket.socket,
        peer: Peer,
        emit: Emit,
        remote: Address | None = None,
    ) -> None:
        sock.setblocking(False)
        self._loop, self._socket, self._emit = loop, sock, emit
        self._half_closed = self._was_lent = self._resets = False
        self._on_reset: Callable[[SockkitError], None] | None = None
        self.peer, self.remote = peer, remote
        self.descriptor = sock.fileno()

    @property
    def name(self) -> str:
        return self.peer.address

    def when_readable(self, callback: Callback | None) -> None:
        self._loop.when_readable(self.descriptor, callback)

    def when_writable(self, callback: Callback | None) -> None:
        self._loop.when_writable(self.descriptor, callback)

    def read_into(self, buffer: memoryview, /) -> int:
        try:
            # A program to which the socket was lent may have made it blocking again.
            return self._socket.recv_into(buffer, 0, socket.MSG_DONTWAIT)
        except BlockingIOError:
            raise
        except OSError as error:
            raise self.read_failed(error) from error

    def has_bytes(self) -> bool:
        try:
            return bool(self._socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
        except BlockingIOError:
            return False
        except OSError as error:
            raise self.read_failed(error) from error

    def read_failed(self, error: OSError, /) -> SockkitError:
        return receive_error(self.name, error)

    def write(self, data: bytes | memoryview, /) -> int:
        try:
            return self._socket.send(data)
        except BlockingIOError:
            raise
        except OSError as error:
            raise self.write_failed(error) from error

    def write_failed(self, error: OSError, /) -> SockkitError:
        return send_error(self.name, error)

    def local(self) -> Address | None:
        try:
            return to_address(self._socket.getsockname())
        except OSError:  # on some systems a socket has no address after a reset
            return None

    def is_local(self) -> bool:
        """Whether it is a TCP connection within this machine, from an address to itself."""
        try:
            here, there = self._socket.getsockname(), self._socket.getpeername()
        except OSError:  # the peer has reset
            return False
        return isinstance(here, tuple) and here[0] == there[0]

    def wake_at(self, size: int) -> None:
        """Count as readable once `size` bytes have arrived, or the peer ends: SO_RCVLOWAT."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, size)

    def limit_queue(self, size: int) -> None:
        """Let no more than `size` bytes wait to be sent, unless another size was asked for."""
        try:
            asked = self._socket.getsockopt(socket.SOL_SOCKET, _SO_BUF_LOCK) & _SNDBUF_LOCKED
        except OSError:  # Linux before 5.14
            return
        if not asked:  # the system doubles the size, for its own needs: socket(7)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, size // 2)

    def lend(self, on_over: Callable[[SockkitError | None], None]) -> int:
        """Lend the socket to a program. Returns its descriptor, which is blocking from now on.

        Call no other method until `take_back`. `on_over` is called once: with an error if the peer
        resets the connection; with None if both sides have ended it, or if a call of the program
        has already returned the reset. If only the peer ends its side, the program reads that, and
        `on_over` is not called.
        """

        def hung_up(reset: bool) -> None:
            self._loop.when_hung_up(self.descriptor, None)
            # A unix socket also counts as hung up while bytes of a peer that has closed are unread.
            if reset or self._socket.family != socket.AF_UNIX:
                on_over(self._reset_error() if reset else None)

        self._socket.setblocking(True)
        self._loop.when_hung_up(self.descriptor, hung_up)
        return self.descriptor

    def when_reset(self, callback: Callable[[SockkitError], None] | None) -> None:
        """Call `callback` in each turn of the loop once the peer has reset; None to stop.

        Use it while you do not read. The bytes sent before the reset, and then the error, can still
        be read.
        """
        self._on_reset = callback
        self._loop.when_hung_up(self.descriptor, self._hung_up if callback else None)

    def _hung_up(self, reset: bool) -> None:
        if reset and self._on_reset:
            self._on_reset(self._reset_error())
        else:  # both sides have ended: reading reports that
            self._loop.when_hung_up(self.descriptor, None)

    def _reset_error(self) -> SockkitError:
        # Reading SO_ERROR would clear the error, and a later read would not raise it.
        return self.read_failed(os_error(errno.ECONNRESET))

    def take_back(self) -> None:
        """Use the socket again: the program has exited, or was not started."""
        self._was_lent = True
        self._loop.when_hung_up(self.descriptor, None)
        self._socket.setblocking(False)

    def half_close(self) -> None:
        first = self._peer_first()
        self._emit(SocketCall("shutdown", f"the sending side to {self.name}", self.peer, first))
        try:
            self._socket.shutdown(socket.SHUT_WR)
            self._half_closed = True
        except OSError as error:
            if error.errno != errno.ENOTCONN:  # the peer has reset: the next receive raises that
                raise self.write_failed(error) from error

    def _peer_first(self) -> bool:
        """Whether the peer has half-closed, even if we have not read that yet: poll(2)."""
        poll = select.poll()
        poll.register(self.descriptor, _POLLRDHUP)
        return any(happened & _POLLRDHUP for _, happened in poll.poll(0))

    def undelivered(self, queued: int | None = None) -> int:
        # Bytes that a unix socket accepts are in the peer's buffer at once: no reset destroys them.
        if self._socket.family == socket.AF_UNIX:
            return 0
        # The FIN counts as one byte, and is acknowledged last: RFC 9293, section 3.4.
        queued = self.queued() if queued is None else queued
        return max(queued - self._half_closed, 0)

    def queued(self) -> int:
        """The result of SIOCOUTQ, tcp(7) and unix(7); 0 on systems without it.

        TCP counts bytes, and one for a FIN; a unix socket counts the memory it uses.
        """
        closed = self._socket.fileno() < 0  # another file may have its number by now
        return 0 if closed else ioctl_number(self.descriptor, TIOCOUTQ) or 0

    def failure(self) -> SockkitError | None:
        # Once the peer has half-closed, a read returns 0 and does not raise a reset.
        error = self._error() or self._told_reset()
        if not error:
            return None
        failed = self.write_failed(error)
        failed.__cause__ = error
        return failed

    def _error(self) -> OSError | None:
        """The pending error of the socket, SO_ERROR, which the system returns once."""
        try:
            code = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        except OSError as error:
            return error
        return os_error(code) if code else None

    def _told_reset(self) -> OSError | None:
        """A reset that the system has already reported to the program; None if there was none.

        The system reports a reset only once. We recognize it afterwards: bytes are not acknowledged
        although the socket has no peer any more. After a regular end, all would be acknowledged.
        """
        if not self._was_lent or self._socket.family == socket.AF_UNIX or not self.queued():
            return None
        try:
            self._socket.getpeername()
        except OSError:
            self._was_lent = False
            return os_error(errno.ECONNRESET)
        return None

    def reset_unless_closed(self) -> None:
        """From now on the peer sees a reset, and no regular end, if this process is killed."""
        self._resets = True
        reset_on_close(self._socket)

    def close(self) -> None:
        if self._resets:
            reset_on_close(self._socket, False)
        self._close()

    def abort(self) -> None:
        reset_on_close(self._socket)
        self._close()

    def _close(self) -> None:
        first, unread = self._peer_first(), bool(ioctl_number(self.descriptor, FIONREAD))
        self._emit(SocketCall("close", f"the connection to {self.name}", self.peer, first, unread))
        self._socket.close()


def reset_on_close(sock: socket.socket, reset: bool = True) -> None:
    """Have the system reset the connection when `sock` is closed, however that comes about; or with
    `reset` False, end it regularly: tcp(7), SO_LINGER.
    """
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", reset, 0))
    except OSError:
        pass  # the peer has reset already
