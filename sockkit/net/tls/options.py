"""What a command says of TLS, as values; nothing here imports ssl."""

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
    """Our own certificate and key, as files in PEM. Without `key` the first has both.

    `passphrase` is that of an encrypted key.
    """

    cert: str
    key: str | None = None
    passphrase: bytes | None = None


class ClientTls(Value):
    """`name` is the server's, if it is not the host's. `alpn` are protocols, best first.

    `fingerprint` is the SHA-256 of the server's certificate, and replaces all other checks;
    `insecure` leaves them out. `ca` is a file of certificates in PEM to trust, in place of the
    system's. `prefix` is how the options that say this begin, for hints to name them.
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
    """Without an `identity` a certificate is made for this run.

    With `client_ca` each client must show a certificate that one of that file has signed.
    """

    identity: Identity | None = None
    client_ca: str | None = None
    alpn: tuple[str, ...] = ()
    minimum: Version = Version.V1_2
