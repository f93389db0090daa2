"""Unix datagram sockets, unix(7): how they differ from UDP, and the address of a client.

The system does not lose a datagram that it has accepted. It accepts none for a receiver whose queue
is full. Such a receiver must not hold up the others.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
from collections.abc import Callable, Mapping
from typing import Any

from sockkit.core.peers import MAX_PEERS
from sockkit.core.units import show_count, show_seconds
from sockkit.errors import REFUSED, ConnectError, SendError, SockkitError
from sockkit.net.endpoint import Endpoint, show_address
from sockkit.net.ends.end import os_error
from sockkit.net.loop import Callback, Timer
from sockkit.net.options import SocketOptions
from sockkit.net.udp.datagrams import ControlMessage, DatagramSocket, Received
from sockkit.net.unix import bind
from sockkit.net.unix_users import CREDENTIALS_BYTES, parse_credentials

# A datagram is limited by the sender's buffer, by default 208 KiB: socket(7), wmem_default.
MAX_DATAGRAM_BYTES = 256 * 1024
MIN_RETRY_SECONDS, MAX_RETRY_SECONDS = 0.001, 0.05  # between attempts to send to a full receiver
_MAX_PATH_BYTES = 107  # of an address, without the closing NUL


class UnixDatagramSocket(DatagramSocket):
    """Owns a unix datagram socket. `unbind` is called when it is closed.

    If the queue of a receiver has been full for `patience` seconds, datagrams to it are lost, with
    an error, until it accepts one. For the only peer of a connected socket we wait without a bound.
    """

    max_receive_bytes = MAX_DATAGRAM_BYTES
    waits_for_peer = True
    # The credentials fill it, so we never get descriptors that a peer sends (SCM_RIGHTS).
    ancillary_bytes = socket.CMSG_SPACE(CREDENTIALS_BYTES) if hasattr(socket, "SO_PASSCRED") else 0
    patience = 0.0
    unbind: Callable[[], None] | None = None

    def _prepare(self) -> None:
        self._segments = False
        self._full_since: dict[Any, float] = {}  # receivers, the longest full first
        self._pause = MIN_RETRY_SECONDS
        self._retry: Timer | None = None
        self._on_retry: Callback | None = None

    def _received(self, size: int, ancillary: list[ControlMessage], address: Any) -> Received:
        credentials = None
        for _, _, data in ancillary:
            credentials = parse_credentials(data)
        return Received(self._buffer[:size], size or 1, address or "", size, credentials)

    def send(self, data: bytes | memoryview, size: int, address: Any = None) -> int:
        try:
            sent = super().send(data, size, address)
        except BlockingIOError:
            if address:
                self._wait(show_count(max(-(-len(data) // size), 1), "datagram"), address)
            raise
        self._full_since.pop(address, None)
        self._pause = MIN_RETRY_SECONDS
        return sent

    def _wait(self, what: str, address: Any) -> None:
        """Note that the receiver is full. Raises SendError if it has been full for too long."""
        now = self._context.loop.now
        since = self._full_since.setdefault(address, now)
        if len(self._full_since) > MAX_PEERS:
            del self._full_since[next(iter(self._full_since))]
        self._pause = min(2 * self._pause, MAX_RETRY_SECONDS)
        if now - since >= self.patience:
            why = f"it accepted no data for {show_seconds(self.patience)}"
            told = f"lost {what} for {show_address(address)}: {why}"
            raise SendError(told, kind=f"lost datagrams for a peer: {why}")

    def when_writable(self, callback: Callback | None) -> None:
        """Call `callback` once in each turn when a send may succeed; None to stop.

        The system does not report when a receiver has space again, so without a connected peer this
        is a timer.
        """
        if self.connected:
            super().when_writable(callback)
            return
        self._on_retry = callback
        if callback and not self._retry:
            self._retry = self._context.loop.later(self._pause, self._try_again)

    def _try_again(self) -> None:
        self._retry = None
        callback = self._on_retry
        if callback:
            self.when_writable(callback)
            callback()

    def _refused(self, error: OSError) -> SockkitError | None:
        """The error if the peer's socket is closed. After the first call, the errno is ENOTCONN."""
        gone = error.errno in (errno.ECONNREFUSED, errno.ENOTCONN)
        if not self.connected or not gone:
            return None
        why = "nobody receives there any more"
        refusal = ConnectError(f"could not reach {self._remote}: {why}", kind=REFUSED)
        refusal.why = why
        return refusal

    def close(self) -> None:
        super().close()
        if self._retry:
            self._retry.cancel()
        unbind, self.unbind = self.unbind, None
        if unbind:
            unbind()


def bind_client(
    sock: socket.socket,
    to: Endpoint,
    source: Endpoint | None,
    sockets: SocketOptions,
    environment: Mapping[str, str],
) -> Callable[[], None] | None:
    """Bind `sock`, which is connected to `to`, so that it can get answers.

    Its address is `source`, or a new one: abstract if `to` is abstract, otherwise a file in a
    folder that nobody else can enter. Because the socket is connected already, only the peer can
    send to it. Returns a function that removes the address, or None. Raises OSError.
    """
    if source:
        return bind(sock, source, sockets)
    if isinstance(to.address, bytes):
        return bind(sock, Endpoint(socket.AF_UNIX, b""), sockets)  # the system finds a free one
    folder = _private_folder(environment)
    try:
        unbind = bind(sock, Endpoint(socket.AF_UNIX, f"{folder}/socket"), sockets)
    except BaseException:
        os.rmdir(folder)
        raise

    def remove() -> None:
        if unbind:
            unbind()
        with contextlib.suppress(OSError):
            os.rmdir(folder)

    return remove


def _private_folder(environment: Mapping[str, str]) -> str:
    """Make a folder that only our user can enter, for one socket. Raises OSError.

    It is in XDG_RUNTIME_DIR if that belongs to our user, otherwise in TMPDIR or /tmp.
    """
    runtime, temporary = environment.get("XDG_RUNTIME_DIR", ""), environment.get("TMPDIR", "")
    places = [runtime] if _is_our_folder(runtime) else []
    places += [temporary, "/tmp"] if os.path.isabs(temporary) else ["/tmp"]
    failure = os_error(errno.ENAMETOOLONG)
    for place in places:
        folder = os.path.join(place, f"sockkit-{os.urandom(4).hex()}")
        if len(os.fsencode(f"{folder}/socket")) > _MAX_PATH_BYTES:
            continue
        try:
            os.mkdir(folder, 0o700)
            return folder
        except OSError as error:
            failure = error
    raise failure


def _is_our_folder(path: str) -> bool:
    try:
        there = os.stat(path)
    except OSError:
        return False
    ours = stat.S_ISDIR(there.st_mode) and there.st_uid == os.geteuid()
    return ours and os.path.isabs(path)
