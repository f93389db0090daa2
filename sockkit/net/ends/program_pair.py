"""A pair of datagram sockets, socketpair(2), as a program's standard input and output.

Each write sends a datagram, and each read receives one. If the program closes its side, we learn
it only by an error when we write.
"""

from __future__ import annotations

import socket

from sockkit.errors import ReceiveError, SendError, reason
from sockkit.net.ends.end import Callback
from sockkit.net.loop import Loop

BUFFER_BYTES = 512 * 1024  # of each direction; the system may allow less


class ProgramPair:
    """Owns both sockets. `theirs` is the descriptor for the program, until `release`."""

    def __init__(self, loop: Loop) -> None:
        """Raises SendError."""
        try:
            self._ours, self._theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        except OSError as error:
            raise SendError(f"could not make a pair of sockets: {reason(error)}") from error
        self._loop = loop
        self._ours.setblocking(False)
        for sock in (self._ours, self._theirs):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)

    @property
    def theirs(self) -> int:
        return self._theirs.fileno()

    def release(self) -> None:
        """Close our descriptor of the program's side: the program has its own by now."""
        self._theirs.close()

    def write(self, datagram: bytes) -> None:
        """Write one datagram. Raises BlockingIOError if the buffer is full, and SendError."""
        try:
            self._ours.send(datagram)
        except BlockingIOError:
            raise
        except OSError as error:
            raise SendError(f"the program has closed its input ({reason(error)})") from error

    def read_into(self, buffer: memoryview, /) -> int:
        """Read one datagram, which may be empty. Raises BlockingIOError, ReceiveError."""
        try:
            return self._ours.recv_into(buffer)
        except BlockingIOError:
            raise
        except OSError as error:
            raise ReceiveError(f"reading from the program failed: {reason(error)}") from error

    def when_readable(self, callback: Callback | None) -> None:
        """Call `callback` in each turn of the loop while there is a datagram; None to stop."""
        if self._ours.fileno() >= 0:
            self._loop.when_readable(self._ours.fileno(), callback)

    def close(self) -> None:
        """Close both. May be called again."""
        self.when_readable(None)
        self._ours.close()
        self._theirs.close()
