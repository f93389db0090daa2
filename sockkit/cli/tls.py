"""The options of TLS, their values, and the passphrase of an encrypted key."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click
from click import Option

from sockkit.cli.commands import Bundle
from sockkit.cli.params import FINGERPRINT, PROTOCOLS, SERVER_NAME, File
from sockkit.errors import UsageError

if TYPE_CHECKING:
    from sockkit.net.tls.options import ClientTls, Identity, ServerTls

_ENCRYPTED = b"ENCRYPTED"  # in the first or second line of such a key: RFC 7468, RFC 1421
MAX_FILE_BYTES = 1024 * 1024  # of a key, or of its passphrase: OpenSSL takes far less of both

_TLS = Option(
    ["--tls", "encrypted"], is_flag=True,
    help="Encrypt. A client checks the server's certificate and its name. A server without "
         "--tls-cert makes a certificate for this run, and shows what clients have to type.",
)  # fmt: skip
_TLS_FILES = (
    Option(["--tls-cert"], type=File(exists=True), metavar="FILE",
           help="Our certificate in PEM, followed by its intermediates."),
    Option(["--tls-key"], type=File(exists=True), metavar="FILE",
           help="The key of --tls-cert, if that file does not hold it."),
    Option(["--tls-key-password-file"], type=File(exists=True), metavar="FILE",
           help="Read the passphrase of an encrypted key from FILE, and ask nobody for it."),
)  # fmt: skip
_TLS_PROTOCOL = (
    Option(["--tls-alpn"], type=PROTOCOLS, metavar="NAMES", default=(),
           help="Protocols to agree on, best first, as in h2,http/1.1 (ALPN)."),
    Option(["--tls-min"], type=click.Choice(["1.0", "1.1", "1.2", "1.3"]),
           help="The oldest TLS to accept. Default: 1.2; old devices need 1.0 or 1.1."),
)  # fmt: skip
CLIENT_TLS = Bundle(
    "TLS",
    (
        _TLS,
        Option(["--tls-ca"], type=File(exists=True), metavar="FILE",
               help="Trust the certificates in FILE (PEM) instead of the system's."),
        Option(["--tls-fingerprint"], type=FINGERPRINT, metavar="SHA256",
               help="Trust the certificate that has this SHA-256 and no other, whoever signed it."),
        Option(["--tls-name"], type=SERVER_NAME, metavar="NAME",
               help="The server name to ask for and to check, if it is not HOST."),
        *_TLS_FILES,
        *_TLS_PROTOCOL,
        Option(["--tls-insecure"], is_flag=True,
               help="Check nothing: whoever is in between can read and change everything."),
    ),
)  # fmt: skip
SERVER_TLS = Bundle(
    "TLS",
    (
        _TLS,
        *_TLS_FILES,
        Option(["--tls-client-ca"], type=File(exists=True), metavar="FILE",
               help="Admit only clients that show a certificate signed by one in FILE (PEM)."),
        *_TLS_PROTOCOL,
    ),
)  # fmt: skip


def client_tls(values: dict[str, Any], prefix: str = "") -> ClientTls | None:
    """What the options of a client say; None without --tls. Raises UsageError.

    With the prefix `to_` they are --to-tls and its like.
    """
    if not _wanted(values, prefix):
        return None
    from sockkit.net.tls.options import ClientTls, Version

    checks = [
        _option(f"{prefix}tls_{check}")
        for check in ("ca", "fingerprint", "insecure")
        if values[f"{prefix}tls_{check}"]
    ]
    if len(checks) > 1:
        raise UsageError(f"{checks[0]} and {checks[1]} exclude each other", "leave out one")
    return ClientTls(
        None if prefix else _identity(values),
        values[f"{prefix}tls_ca"],
        values[f"{prefix}tls_name"],
        () if prefix else values["tls_alpn"],
        Version((not prefix and values["tls_min"]) or Version.V1_2),
        values[f"{prefix}tls_fingerprint"],
        values[f"{prefix}tls_insecure"],
        _option(f"{prefix}tls"),
    )


def server_tls(values: dict[str, Any]) -> ServerTls | None:
    """What the options of a server say; None without --tls. Raises UsageError."""
    if not _wanted(values):
        return None
    from sockkit.net.tls.options import ServerTls, Version

    identity, client_ca = _identity(values), values["tls_client_ca"]
    return ServerTls(
        identity, client_ca, values["tls_alpn"], Version(values["tls_min"] or Version.V1_2)
    )


def _field(option: str) -> str:
    return option.removeprefix("--").replace("-", "_")


def _option(field: str) -> str:
    return "--" + field.replace("_", "-")


def _wanted(values: dict[str, Any], prefix: str = "") -> bool:
    tls = _option(f"{prefix}tls")
    if values[f"{prefix}encrypted"]:
        if values.get("udp"):
            raise UsageError(f"{tls} and --udp exclude each other", "leave out one")
        return True
    for name, value in values.items():
        if name.startswith(f"{prefix}tls_") and value:
            raise UsageError(f"{_option(name)} needs {tls}", "add it")
    return False


def _identity(values: dict[str, Any]) -> Identity | None:
    from sockkit.net.tls.options import Identity

    cert, key = values["tls_cert"], values["tls_key"]
    if not cert:
        for option in ("--tls-key", "--tls-key-password-file"):
            if values[_field(option)]:
                raise UsageError(f"{option} needs --tls-cert", "add it")
        return None
    return Identity(cert, key, _passphrase(key or cert, values["tls_key_password_file"]))


def _passphrase(key: str, path: str | None) -> bytes | None:
    """The passphrase of the file `key`; None if it is not encrypted."""
    from sockkit.net.files import read_secret

    if _ENCRYPTED not in read_secret(key, MAX_FILE_BYTES):
        return None
    if path is not None:
        return read_secret(path, MAX_FILE_BYTES)
    from sockkit.cli.secret import ask_secret

    typed = ask_secret(f"Passphrase of {key}: ")
    if typed is None:
        raise UsageError(f"{key} is encrypted", "give --tls-key-password-file")
    return os.fsencode(typed)
