"""Makes OpenSSL contexts from the options of a command, before it dials or listens."""

from __future__ import annotations

import ssl
import warnings
from collections.abc import Sequence

from sockkit.core.address import Address
from sockkit.errors import UsageError, reason
from sockkit.events import Notice
from sockkit.net.context import Context
from sockkit.net.tls.options import ClientTls, Identity, ServerTls, Version
from sockkit.values import Value

_VERSIONS = {
    Version.V1_0: ssl.TLSVersion.TLSv1,
    Version.V1_1: ssl.TLSVersion.TLSv1_1,
    Version.V1_2: ssl.TLSVersion.TLSv1_2,
    Version.V1_3: ssl.TLSVersion.TLSv1_3,
}
MAX_SECONDS = 10.0  # for one handshake
_OLD = (Version.V1_0, Version.V1_1)
_OLD_CIPHERS = "DEFAULT@SECLEVEL=0"  # OpenSSL allows the old versions with no others


class TlsSetup(Value):
    """The settings of handshakes.

    For a client, `name` is the server's name, and `fingerprint`, if given, is the SHA-256 that the
    server's certificate must have. For a server, `fingerprint` is that of the certificate made for
    this run, if one was made. `timeout` is for one handshake, in seconds. The options in hints
    begin with `prefix`.
    """

    context: ssl.SSLContext
    server: bool
    name: str | None = None
    fingerprint: bytes | None = None
    timeout: float = MAX_SECONDS
    prefix: str = "--tls"


def client(options: ClientTls, address: Address, context: Context) -> TlsSetup:
    """The setup of a client that dials `address`. Raises UsageError."""
    return clients(options, [address], context)[0]


def clients(options: ClientTls, addresses: Sequence[Address], context: Context) -> list[TlsSetup]:
    """A setup for each address. They share one context, which takes long to make.

    Raises UsageError.
    """
    names = [_server_name(options, address) for address in addresses]
    made = _client_context(options, context)
    return [
        TlsSetup(made, False, _checked(made, name), options.fingerprint, prefix=options.prefix)
        for name in names
    ]


def _server_name(options: ClientTls, address: Address) -> str | None:
    """The name that the server's certificate must have; None if it is not checked."""
    host = (address.host or "").partition("%")[0].removesuffix(".")  # no scope id, no root
    name = options.name or host or None
    if not (name or options.insecure or options.fingerprint):
        hint = f"add one with {options.prefix}-name"
        raise UsageError(f"{address} has no server name to check", hint)
    return name


def _client_context(options: ClientTls, context: Context) -> ssl.SSLContext:
    made = _context(ssl.PROTOCOL_TLS_CLIENT, options.minimum, options.alpn, context)
    if options.insecure:
        told = f"the certificate is not checked ({options.prefix}-insecure)"
        context.emit(Notice(f"{told}: anybody can pose as the peer"))
    if options.insecure or options.fingerprint:
        made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
    elif options.ca:
        _trust(made, options.ca)
    else:
        made.load_default_certs(ssl.Purpose.SERVER_AUTH)
    if options.identity:
        _identify(made, options.identity)
    return made


def _checked(made: ssl.SSLContext, name: str | None) -> str | None:
    """`name`, if OpenSSL accepts it. Raises UsageError."""
    try:
        made.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname=name)
    except ValueError as error:  # and UnicodeError, which is one
        raise UsageError(f"{name!r} cannot be the name of a server") from error
    return name


def server(options: ServerTls, host: str, context: Context) -> TlsSetup:
    """The setup of a server that listens on `host`. Raises UsageError."""
    made = _context(ssl.PROTOCOL_TLS_SERVER, options.minimum, options.alpn, context)
    # If a client never reads, tickets stay unread, and closing its socket then causes a reset.
    made.num_tickets = 0
    made.options |= ssl.OP_NO_TICKET
    fingerprint = None
    if options.client_ca:
        made.verify_mode = ssl.CERT_REQUIRED
        _trust(made, options.client_ca)
    if options.identity:
        _identify(made, options.identity)
    else:
        from sockkit.net.tls.throw_away import install

        fingerprint = install(made, host)
    return TlsSetup(made, True, None, fingerprint)


def _context(
    protocol: ssl._SSLMethod, minimum: Version, alpn: tuple[str, ...], context: Context
) -> ssl.SSLContext:
    made = ssl.SSLContext(protocol)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # we emit a Notice instead
        made.minimum_version = _VERSIONS[minimum]
    if minimum in _OLD:
        made.set_ciphers(_OLD_CIPHERS)
        told = f"TLS {minimum} is allowed (--tls-min), but weak: others may read what is sent"
        context.emit(Notice(told))
    # Python 3.13 sets both. The first one refuses simple home-made certificates.
    made.verify_flags &= ~ssl.VERIFY_X509_STRICT
    made.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    made.options |= ssl.OP_NO_RENEGOTIATION  # with it, a peer could cost us much computing time
    if alpn:
        try:
            made.set_alpn_protocols(alpn)
        except (ssl.SSLError, UnicodeError) as error:
            told = f"{','.join(alpn)!r} is not a list of protocols"
            raise UsageError(told, "write --tls-alpn as in h2,http/1.1") from error
    if path := context.environment.get("SSLKEYLOGFILE"):
        try:
            made.keylog_filename = path
        except OSError as error:
            raise UsageError(f"could not write SSLKEYLOGFILE {path}: {reason(error)}") from error
    return made


def _trust(context: ssl.SSLContext, path: str) -> None:
    try:
        context.load_verify_locations(path)
    except ssl.SSLError as error:
        raise UsageError(
            f"{path} contains no PEM certificates", "give a .pem or .crt file"
        ) from error
    except OSError as error:
        raise UsageError(f"could not read {path}: {reason(error)}") from error


def _identify(context: ssl.SSLContext, identity: Identity) -> None:
    cert, key = identity.cert, identity.key or identity.cert
    try:
        # Without a passphrase OpenSSL would ask the terminal for one.
        context.load_cert_chain(cert, key, identity.passphrase or "")
    except (ssl.SSLError, ValueError) as error:  # the second: a passphrase that is too long
        raise _no_identity(identity, error) from error
    except OSError as error:
        raise UsageError(f"could not read {cert} or {key}: {reason(error)}") from error


def _no_identity(identity: Identity, error: ssl.SSLError | ValueError) -> UsageError:
    """The error about the files of `identity`: finds out which file OpenSSL has refused."""
    cert, key = identity.cert, identity.key or identity.cert
    if getattr(error, "reason", "") == "KEY_VALUES_MISMATCH":
        return UsageError(
            f"the key in {key} does not match the certificate in {cert}",
            "use a pair that was made together",
        )
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cert)
    except ssl.SSLError:
        return UsageError(f"{cert} contains no PEM certificate", "give a .pem or .crt file")
    if identity.passphrase is not None:
        return UsageError(f"the passphrase of {key} is wrong", "check it, and try again")
    return UsageError(
        f"{key} contains no PEM key", "give the key's file" if identity.key else "add --tls-key"
    )
