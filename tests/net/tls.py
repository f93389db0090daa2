"""Certificates for tests, made once in a process, and contexts that use them."""

from __future__ import annotations

import ssl
from functools import cache

import trustme

NAME = "server.example"


@cache
def authority() -> trustme.CA:
    return trustme.CA()


@cache
def _leaf(name: str) -> trustme.LeafCert:
    return authority().issue_cert(name)


def contexts(*, server: bool) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Ours and the peer's. We are the `server`, or the client, which trusts it."""
    for_server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    for_server.num_tickets = 0
    _leaf(NAME).configure_cert(for_server)
    for_client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority().configure_trust(for_client)
    if server:
        for_client.check_hostname = False  # the far side asks for no name
    return (for_server, for_client) if server else (for_client, for_server)
