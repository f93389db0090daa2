"""Certificates for tests, made once in a process, contexts that use them, and handshakes."""

from __future__ import annotations

import contextlib
import hashlib
import ssl
from datetime import datetime
from functools import cache
from pathlib import Path

import trustme

NAME = "server.example"
V12, V13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


@cache
def authority() -> trustme.CA:
    return trustme.CA()


@cache
def stranger() -> trustme.CA:
    """An authority that nobody trusts."""
    return trustme.CA()


def leaf(
    name: str = NAME,
    *,
    after: datetime | None = None,
    before: datetime | None = None,
    ca: trustme.CA | None = None,
) -> trustme.LeafCert:
    """The same each time."""
    return _leaf(ca or authority(), name, before, after)


@cache
def _leaf(
    ca: trustme.CA, name: str, before: datetime | None, after: datetime | None
) -> trustme.LeafCert:
    return ca.issue_cert(name, not_before=before, not_after=after)


def fingerprint(cert: trustme.LeafCert) -> bytes:
    der = ssl.PEM_cert_to_DER_cert(cert.cert_chain_pems[0].bytes().decode())
    return sha256(der)


def sha256(der: bytes) -> bytes:
    return hashlib.sha256(der).digest()


def written(blob: trustme.Blob, path: Path) -> str:
    blob.write_to_path(str(path))
    return str(path)


def contexts(*, server: bool) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Ours and the peer's. We are the `server`, or the client, which trusts it."""
    for_server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    for_server.num_tickets = 0
    leaf().configure_cert(for_server)
    for_client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority().configure_trust(for_client)
    if server:
        for_client.check_hostname = False  # the far side asks for no name
    return (for_server, for_client) if server else (for_client, for_server)


class InHand:
    """One side of TLS, whose bytes a test carries to and fro."""

    def __init__(
        self, context: ssl.SSLContext, *, server: bool = False, name: str | None = None
    ) -> None:
        self.server = server
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(
            self.incoming, self.outgoing, server_side=server, server_hostname=name
        )
        self.done = self.ended = False  # `ended`: close_notify has come
        self.error: ssl.SSLError | None = None

    def step(self, data: bytes = b"") -> bytes:
        """Go on with the handshake after `data` has come; what is to be sent."""
        if data:
            self.incoming.write(data)
        try:
            if self.done:
                self.tls.read(1)  # a client may learn late that it is refused
            elif not self.error:
                self.tls.do_handshake()
                self.done = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            self.error = error
        return self.outgoing.read()

    def sealed(self, data: bytes) -> bytes:
        """`data` in one record or more."""
        self.tls.write(data)
        return self.outgoing.read()

    def close_notify(self) -> bytes:
        with contextlib.suppress(ssl.SSLError):
            self.tls.unwrap()
        return self.outgoing.read()

    def opened(self, data: bytes) -> bytes:
        """What the encrypted `data` says; records may come in several pieces."""
        self.incoming.write(data)
        got = bytearray()
        try:
            while piece := self.tls.read(65536):
                got += piece
            self.ended = True
        except ssl.SSLZeroReturnError:
            self.ended = True
        except ssl.SSLWantReadError:
            pass
        return bytes(got)


def shake_hands(client: InHand, server: InHand) -> None:
    """Go on until neither says more: each is then done, or has its `error`."""
    there = client.step()
    while there:
        there = client.step(server.step(there))
