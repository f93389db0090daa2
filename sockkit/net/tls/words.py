"""Explains OpenSSL's errors in plain words, with hints."""

from __future__ import annotations

import ssl
from typing import TypeVar

from sockkit.errors import HandshakeError, ReceiveError, SockkitError, TrustError

Failure = TypeVar("Failure", bound=SockkitError)

# The names are those of ssl.SSLError.reason. A name with ALERT in it is an alert from the peer.
_PLAIN = {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "HTTPS_PROXY_REQUEST", "PACKET_LENGTH_TOO_LONG"}
_ECHOED = {"UNEXPECTED_MESSAGE"}  # a client gets it if the peer echoes its own bytes
_NO_VERSION = {"UNSUPPORTED_PROTOCOL", "TLSV1_ALERT_PROTOCOL_VERSION", "VERSION_TOO_LOW"}
_NO_CIPHER = {"NO_SHARED_CIPHER", "TLSV1_ALERT_INSUFFICIENT_SECURITY"}
# With TLS 1.2, a server that wants a certificate may send it, too: RFC 5246, section 7.4.6.
_REFUSED = {"SSLV3_ALERT_HANDSHAKE_FAILURE"}
_NO_PROTOCOL = {"TLSV1_ALERT_NO_APPLICATION_PROTOCOL", "NO_APPLICATION_PROTOCOL"}
_WANTS_CERTIFICATE = {"TLSV13_ALERT_CERTIFICATE_REQUIRED"}
_NO_CERTIFICATE = {"PEER_DID_NOT_RETURN_A_CERTIFICATE"}
_REFUSED_CERTIFICATE = {
    "TLSV1_ALERT_UNKNOWN_CA",
    "SSLV3_ALERT_BAD_CERTIFICATE",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED",
    "SSLV3_ALERT_CERTIFICATE_REVOKED",
    "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE",
    "TLSV1_ALERT_ACCESS_DENIED",
    "TLSV1_ALERT_DECRYPT_ERROR",
}
_OLD = "for an old device lower --tls-min"

# Errors of verification: OpenSSL's X509_V_ERR_*.
_NOT_YET, _EXPIRED, _SELF_SIGNED, _SELF_SIGNED_CHAIN, _UNKNOWN_ISSUER, _NO_LEAF_CHAIN = (
    9, 10, 18, 19, 20, 21,
)  # fmt: skip
_WRONG_HOST, _WRONG_ADDRESS = 62, 64
_TRUST_IT = "add its issuer with --tls-ca, or its SHA-256 with --tls-fingerprint"
_NAME_IT = "use the name in its certificate with --tls-name"


# A relay has no such options for its target.
_NOT_OF_TARGETS = ("--tls-cert", "--tls-min", "--tls-alpn")


def renamed(error: Failure, prefix: str) -> Failure:
    """`error`, with a hint whose options begin with `prefix` instead of --tls.

    Some options exist only as --tls: a hint that names one of these is dropped.
    """
    if prefix != "--tls":
        missing = any(option in error.hint for option in _NOT_OF_TARGETS)
        error.hint = "" if missing else error.hint.replace("--tls", prefix)
    return error


def _reason(error: ssl.SSLError) -> str:
    return error.reason or ""


def _plainly(error: ssl.SSLError) -> str:
    """OpenSSL's name of the error, in lower case and with spaces."""
    return _reason(error).lower().replace("_", " ") or "OpenSSL does not say why"


def not_trusted(
    name: str, error: ssl.SSLCertVerificationError, fingerprint: bytes = b""
) -> TrustError:
    """The error if the certificate of the server `name` has failed a check.

    `fingerprint` is the certificate's SHA-256, if it is known.
    """
    code = error.verify_code
    if code in (_WRONG_HOST, _WRONG_ADDRESS):
        asked = error.verify_message.rpartition("'")[0].rpartition("'")[2]
        why, hint = f"it is not for {asked or 'this name'}", _NAME_IT
    elif code == _SELF_SIGNED:
        why, hint = "it is self-signed", _TRUST_IT
    elif code in (_SELF_SIGNED_CHAIN, _UNKNOWN_ISSUER, _NO_LEAF_CHAIN):
        why, hint = "its issuer is not known here", _TRUST_IT
    elif code == _EXPIRED:
        why, hint = "it has expired", "the server needs a new one"
    elif code == _NOT_YET:
        why, hint = "it is not valid yet", "is the clock of this machine right?"
    else:
        why, hint = error.verify_message, _TRUST_IT
    shown = f" (SHA-256 {fingerprint.hex()})" if fingerprint else ""
    told = f"the certificate of {name} is not trusted: {why}{shown}"
    return TrustError(told, hint, kind=f"not trusted: {why}")


def _about_certificates(reason: str, *, server: bool) -> tuple[str, str] | None:
    """The meaning of an error about certificates, and a hint; None for other errors."""
    if reason in _WANTS_CERTIFICATE:
        return "it requires a client certificate", "add --tls-cert and --tls-key"
    if reason in _NO_CERTIFICATE:
        return "it sent no certificate", "--tls-client-ca requires one"
    if reason in _REFUSED_CERTIFICATE:
        hint = (
            "the client must trust it and its name" if server else "use another one with --tls-cert"
        )
        return "it rejected our certificate", hint
    return None


def is_plain(error: ssl.SSLError) -> bool:
    """Whether the peer has sent bytes that are not TLS."""
    return _reason(error) in _PLAIN


def no_handshake(
    name: str, error: ssl.SSLError, fingerprint: bytes = b"", *, server: bool
) -> SockkitError:
    """The error if the handshake with `name` has failed. `server` is whether we are the server.

    `fingerprint` is that of the peer's certificate, if it is known.
    """
    reason, hint = _reason(error), ""
    if isinstance(error, ssl.SSLCertVerificationError):
        if not server:
            return not_trusted(name, error, fingerprint)
        why = f"its certificate is not trusted: {error.verify_message}"
    elif about := _about_certificates(reason, server=server):
        why, hint = about
    elif is_plain(error) or (reason in _ECHOED and not server):
        why = "it does not speak TLS"
        hint = "it must use TLS, too" if server else "try it without --tls"
    elif reason in _NO_VERSION:
        why, hint = "no TLS version in common", _OLD
    elif reason in _NO_CIPHER:
        why, hint = "no cipher in common", _OLD
    elif reason in _REFUSED:
        why = "it accepts none of our TLS settings"
        hint = _OLD if server else "it may want --tls-cert, or a lower --tls-min"
    elif reason in _NO_PROTOCOL:
        why = "it supports none of the protocols of --tls-alpn"
    elif isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        why, hint = "it closed the connection", "" if server else "does it speak TLS?"
    else:
        why = _plainly(error)
    return handshake_error(name, why, hint)


def handshake_error(name: str, why: str, hint: str = "") -> HandshakeError:
    """The error if TLS with the peer `name` has failed for the reason `why`."""
    return HandshakeError(f"TLS with {name} failed: {why}", hint, kind=f"TLS failed: {why}")


def broken(name: str, error: ssl.SSLError) -> SockkitError:
    """The error if the session with `name` breaks after the handshake.

    With TLS 1.3, a client learns only then that its certificate is refused: RFC 8446, section
    4.4.2.4.
    """
    if about := _about_certificates(_reason(error), server=False):
        return handshake_error(name, *about)
    why = _plainly(error)
    return ReceiveError(
        f"receiving from {name} failed: {why} (TLS)", kind=f"receiving failed: {why}"
    )
