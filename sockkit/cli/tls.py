"""The TLS options as values, and the passphrase of an encrypted key."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from sockkit.cli.stopping import STOPS
from sockkit.errors import Stopped, UsageError

if TYPE_CHECKING:
    from sockkit.net.tls.options import ClientTls, Identity, ServerTls

_ENCRYPTED = b"ENCRYPTED"  # in the first or second line of such a key: RFC 7468, RFC 1421
MAX_FILE_BYTES = 1024 * 1024  # of a key, or of its passphrase: OpenSSL takes far less of both


def client_tls(values: dict[str, Any]) -> ClientTls | None:
    """What the options of a client say; None without --tls. Raises UsageError."""
    if not _wanted(values):
        return None
    from sockkit.net.tls.options import ClientTls, Version

    checks = [
        option
        for option in ("--tls-ca", "--tls-fingerprint", "--tls-insecure")
        if values[_field(option)]
    ]
    if len(checks) > 1:
        raise UsageError(f"{checks[0]} and {checks[1]} exclude each other", "leave out one")
    return ClientTls(
        _identity(values),
        values["tls_ca"],
        values["tls_name"],
        values["tls_alpn"],
        Version(values["tls_min"] or Version.V1_2),
        values["tls_fingerprint"],
        values["tls_insecure"],
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


def _wanted(values: dict[str, Any]) -> bool:
    if values["encrypted"]:
        if values.get("udp"):
            raise UsageError("--tls and --udp exclude each other", "leave out one")
        return True
    for name, value in values.items():
        if name.startswith("tls_") and value:
            raise UsageError(f"--{name.replace('_', '-')} needs --tls", "add it")
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
    if not _has_terminal():
        raise UsageError(f"{key} is encrypted", "give --tls-key-password-file")
    return _ask(key)


def _ask(key: str) -> bytes:
    """The passphrase as a person types it. A signal ends us, but the terminal shows typing again.

    Raises UsageError, Stopped.
    """
    import signal
    from getpass import getpass

    def stop(number: int, _: object) -> None:
        raise Stopped(number)

    before = {number: signal.getsignal(number) for number in STOPS}
    try:
        for number in STOPS:
            if before[number] != signal.SIG_IGN:
                signal.signal(number, stop)
        return os.fsencode(getpass(f"Passphrase of {key}: "))
    except Stopped:
        _end_line()
        raise
    except EOFError:
        _end_line()
        raise UsageError(f"{key} is encrypted", "give --tls-key-password-file") from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end_line() -> None:
    """End the line of the question on the terminal: nothing was entered."""
    try:
        terminal = os.open("/dev/tty", os.O_WRONLY | os.O_NOCTTY)
    except OSError:
        return
    with os.fdopen(terminal, "wb") as file:
        file.write(b"\n")


def _has_terminal() -> bool:
    """Whether there is a terminal, and we may read it: a job in the background would be stopped."""
    try:
        terminal = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)
