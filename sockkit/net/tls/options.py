"""The TLS options of a command, as values. This module does not import ssl."""

from __future__ import annotations

from enum import StrEnum

from sockkit.values import Value


class Version(StrEnum):
    """The lowest version of TLS that is allowed."""

    V1_0 = "1.0"
    V1_1 = "1.1"
    V1_2 = "1.2"
    V1_3 = "1.3"


class Identity(Value):
    """The paths of our certificate and its key, in PEM. Without `key`, `cert` holds both.

    `passphrase` decrypts the key.
    """

    cert: str
    key: str | None = None
    passphrase: bytes | None = None


class ClientTls(Value):
    """`name` is the server's name, if it is not the host. `alpn` are protocols, best first.

    `fingerprint` is the SHA-256 of the server's certificate, and replaces all other checks. With
    `insecure` nothing is checked. `ca` is a file of certificates in PEM to trust, instead of the
    system's. The options that set these values begin with `prefix`, for hints.
    """

    identity: Identity | None = None
    ca: str | None = None
    name: str | None = None
    alpn: tuple[str, ...] = ()
    minimum: Version = Version.V1_2
    fingerprint: bytes | None = None
    insecure: bool = False
    prefix: str = "--tls"


class ServerTls(Value):
    """Without an `identity`, a certificate is made for this run.

    With `client_ca`, each client must show a certificate that a certificate in that file has
    signed.
    """

    identity: Identity | None = None
    client_ca: str | None = None
    alpn: tuple[str, ...] = ()
    minimum: Version = Version.V1_2
