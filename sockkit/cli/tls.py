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

_ENCRYPTED = b"ENCRYPTED"  # in the first or second line of an encrypted key: RFC 7468, RFC 1421
MAX_FILE_BYTES = 1024 * 1024  # of a key, or of its passphrase: OpenSSL accepts far fewer of both

_TLS = Option(
    ["--tls", "encrypted"], is_flag=True,
    help="Encrypt the connection (TLS). The server's certificate and its name are checked.",
)  # fmt: skip
_TLS_FILES = (
    Option(["--tls-cert"], type=File(exists=True), metavar="FILE",
           help="Present the certificate in FILE (PEM) to the peer. Intermediate certificates "
           "follow it in FILE."),
    Option(["--tls-key"], type=File(exists=True), metavar="FILE",
           help="Read the key of --tls-cert from FILE (PEM). Default: the file of --tls-cert."),
    Option(["--tls-key-password-file"], type=File(exists=True), metavar="FILE",
           help="Read the passphrase of an encrypted key from FILE. Without this option, it is "
                "asked for on the terminal."),
)  # fmt: skip
_TLS_PROTOCOL = (
    Option(["--tls-alpn"], type=PROTOCOLS, metavar="NAMES", default=(),
           help="Offer these protocols, for example h2,http/1.1 (ALPN). List the preferred "
           "one first."),
    Option(["--tls-min"], type=click.Choice(["1.0", "1.1", "1.2", "1.3"]),
           help="Accept no TLS version older than this. Default: 1.2. Old devices need 1.0 or "
           "1.1."),
)  # fmt: skip
CLIENT_TLS = Bundle(
    "TLS",
    (
        _TLS,
        Option(["--tls-ca"], type=File(exists=True), metavar="FILE",
               help="Trust the certificates in FILE (PEM), not those of the system."),
        Option(["--tls-fingerprint"], type=FINGERPRINT, metavar="SHA256",
               help="Trust only the certificate with this SHA-256. It does not matter who signed "
                    "it, or for which name. SHA256 is 64 hex digits, with or without colons."),
        Option(["--tls-name"], type=SERVER_NAME, metavar="NAME",
               help="Ask for this server name and check it, instead of HOST."),
        *_TLS_FILES,
        *_TLS_PROTOCOL,
        Option(["--tls-insecure"], is_flag=True,
               help="Do not check the certificate. Anyone on the path can then read and "
               "change everything."),
    ),
)  # fmt: skip


def _to_target(option: Option) -> Option:
    """The same option for a relay's connections to its target: --to-tls-ca for --tls-ca."""
    return Option(
        [f"--to-{option.opts[0].removeprefix('--')}"],
        type=option.type,
        metavar=option.metavar,
        is_flag=option.is_flag,
        help=option.help,
    )


_TO_TARGET = ("tls_ca", "tls_fingerprint", "tls_name", "tls_insecure")
TO_TLS = Bundle(
    "TLS to the target",
    (
        Option(["--to-tls", "to_encrypted"], is_flag=True,
               help="Encrypt the connections to the target (TLS). Its certificate and its name are "
                    "checked."),
        *(_to_target(option) for option in CLIENT_TLS.options if option.name in _TO_TARGET),
    ),
)  # fmt: skip
SERVER_TLS = Bundle(
    "TLS",
    (
        _TLS,
        *_TLS_FILES,
        Option(["--tls-client-ca"], type=File(exists=True), metavar="FILE",
               help="Accept only clients with a certificate signed by one in FILE."),
        *_TLS_PROTOCOL,
    ),
).saying(
    tls_cert="Present the certificate in FILE (PEM) to clients. Intermediate certificates "
    "follow it in FILE.",
    encrypted="Encrypt connections (TLS). Without --tls-cert, a certificate is made for this run, "
              "and a message shows the command that trusts it.",
    tls_alpn="Accept these protocols, for example h2,http/1.1 (ALPN). List the preferred one "
    "first.",
)  # fmt: skip


def client_tls(values: dict[str, Any], prefix: str = "") -> ClientTls | None:
    """The TLS options of a client; None without --tls. Raises UsageError.

    With the prefix `to_` they are --to-tls and the options that begin with it.
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
        raise UsageError(f"{checks[0]} cannot be used with {checks[1]}", "remove one of them")
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
    """The TLS options of a server; None without --tls. Raises UsageError."""
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
            raise UsageError(f"{tls} cannot be used with --udp", "remove one of them")
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

    typed = ask_secret(f"Passphrase for {key}: ")
    if typed is None:
        raise UsageError(f"{key} is encrypted", "add --tls-key-password-file")
    return os.fsencode(typed)
