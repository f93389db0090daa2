"""The users of unix sockets: the credentials of peers, and which users a server admits, unix(7)."""

from __future__ import annotations

import os
import socket
import struct
from typing import NamedTuple

from sockkit.core.address import UnixPath
from sockkit.errors import UsageError

OWN, ANY = "own", "any"
_UCRED = struct.Struct("iII")  # struct ucred of sys/socket.h: process, user, group
CREDENTIALS_BYTES = _UCRED.size


class Credentials(NamedTuple):
    """The ids of a process, its user and its group, as this process sees them (namespaces)."""

    process: int
    user: int
    group: int

    def __str__(self) -> str:
        return f"process {self.process} of user {self.user}"


def parse_credentials(data: bytes) -> Credentials:
    return Credentials(*_UCRED.unpack_from(data))


def peer_credentials(sock: socket.socket) -> Credentials | None:
    """The credentials of the process that connected or listened at the other side of `sock`.

    None if the system does not tell.
    """
    try:
        return parse_credentials(
            sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS_BYTES)
        )
    except (AttributeError, OSError):  # not Linux
        return None


class OneUser:
    """Admits only the processes of one user; not even root's, unless it is that user."""

    def __init__(self, user: int) -> None:
        self._user = user

    def refusal(self, address: object, credentials: Credentials | None) -> str:
        if credentials and credentials.user == self._user:
            return ""
        return "another user: --allow-users any lets them in"


def users_admission(address: UnixPath, allow_users: str | None) -> OneUser | None:
    """What admits only our own user; None to admit everybody.

    The mode of a socket file already says who may connect. An abstract address has no mode, so by
    default only our own user is admitted there. Raises UsageError if the system does not tell the
    credentials of peers.
    """
    if (allow_users or (OWN if address.abstract else ANY)) == ANY:
        return None
    if not hasattr(socket, "SO_PEERCRED"):
        raise UsageError("this system does not tell who a peer is", "use --allow-users any")
    return OneUser(os.geteuid())
