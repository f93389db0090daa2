"""What is said of handshakes that have failed, which most of these tests let real ones do."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
import trustme

from sockkit.errors import HandshakeError, ReceiveError, TrustError
from sockkit.net.tls.throw_away import install
from sockkit.net.tls.words import broken, no_handshake, renamed
from tests.net import tls
from tests.net.tls import InHand

DAY = timedelta(days=1)
NOW = datetime.now(UTC)
OLD = ": for an old device lower --tls-min"


class Both:
    """The contexts of two that would agree, until a test changes one."""

    def __init__(self) -> None:
        self.client, self.server = tls.contexts(server=False)
        self.name = tls.NAME

    def fail(self) -> tuple[InHand, InHand]:
        client, server = InHand(self.client, name=self.name), InHand(self.server, server=True)
        tls.shake_hands(client, server)
        return client, server


def shows(**more: object) -> Callable[[Both], None]:
    """The server shows another certificate."""

    def change(both: Both) -> None:
        both.server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.leaf(**more).configure_cert(both.server)  # type: ignore[arg-type]

    return change


def asks_for(name: str) -> Callable[[Both], None]:
    return lambda both: setattr(both, "name", name)


def signs_itself(both: Both) -> None:
    both.server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    install(both.server, tls.NAME)


def shows_the_root(both: Both) -> None:
    both.server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    leaf, root = tls.leaf(ca=tls.stranger()), tls.stranger().cert_pem.bytes()
    pem = leaf.private_key_pem.bytes() + leaf.cert_chain_pems[0].bytes() + root
    with trustme.Blob(pem).tempfile() as path:
        both.server.load_cert_chain(path)


def versions(client: ssl.TLSVersion, server: ssl.TLSVersion) -> Callable[[Both], None]:
    def change(both: Both) -> None:
        for context, version in ((both.client, client), (both.server, server)):
            context.minimum_version = context.maximum_version = version

    return change


def ciphers(both: Both) -> None:
    versions(tls.V12, tls.V12)(both)
    both.client.set_ciphers("ECDHE-ECDSA-AES128-GCM-SHA256")
    both.server.set_ciphers("ECDHE-ECDSA-AES256-GCM-SHA384")


def demands(version: ssl.TLSVersion, *, stranger: bool = False) -> Callable[[Both], None]:
    """The server demands a certificate of the client, which shows none, or a stranger's."""

    def change(both: Both) -> None:
        versions(version, version)(both)
        both.server.verify_mode = ssl.CERT_REQUIRED
        tls.authority().configure_trust(both.server)
        if stranger:
            tls.leaf("client.example", ca=tls.stranger()).configure_cert(both.client)

    return change


TRUST_IT = ": add its issuer with --tls-ca, or its SHA-256 with --tls-fingerprint"
NAME_IT = ": use the name in its certificate with --tls-name"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (asks_for("other.example"), f"it is not for other.example{NAME_IT}"),
        (asks_for("127.0.0.1"), f"it is not for 127.0.0.1{NAME_IT}"),
        (shows(after=NOW - DAY, before=NOW - 2 * DAY), "it has expired: the server needs a new"),
        (shows(before=NOW + DAY, after=NOW + 2 * DAY), "it is not valid yet: is the clock"),
        (shows(ca=tls.stranger()), f"its issuer is not known here{TRUST_IT}"),
        (signs_itself, f"it is self-signed{TRUST_IT}"),
        (shows_the_root, f"its issuer is not known here{TRUST_IT}"),
    ],
)
def test_a_certificate_that_is_not_trusted(change: Callable[[Both], None], words: str) -> None:
    """A client says which check failed and what to try; the server sees that it is refused."""
    both = Both()
    change(both)
    client, server = both.fail()
    assert client.error
    assert server.error
    told = no_handshake("there:1", client.error, server=False)
    assert isinstance(told, TrustError)
    assert f"the certificate of there:1 is not trusted: {words}" in str(told)
    refused = no_handshake("here:2", server.error, server=True)
    assert str(refused) == (
        "TLS with here:2 failed: it rejected our certificate: the client must trust it and its name"
    )


NO_VERSION = "no TLS version in common"
NO_CIPHER = "no cipher in common"
REFUSES = "it accepts none of our TLS settings: it may want --tls-cert, or a lower --tls-min"
REFUSES_OURS = "it rejected our certificate: use another one with --tls-cert"
WANTS_OURS = "it requires a client certificate: add --tls-cert and --tls-key"
NOT_SENT = "it sent no certificate: --tls-client-ca requires one"
UNKNOWN = "its certificate is not trusted: unable to get local issuer certificate"


@pytest.mark.parametrize(
    ("change", "to_client", "to_server"),
    [
        (versions(tls.V13, tls.V12), NO_VERSION + OLD, NO_VERSION + OLD),
        (versions(tls.V12, tls.V13), NO_VERSION + OLD, NO_VERSION + OLD),
        (ciphers, REFUSES, NO_CIPHER + OLD),
        (demands(tls.V12), REFUSES, NOT_SENT),
        (demands(tls.V13), WANTS_OURS, NOT_SENT),
        (demands(tls.V12, stranger=True), REFUSES_OURS, UNKNOWN),
        (demands(tls.V13, stranger=True), REFUSES_OURS, UNKNOWN),
    ],
)
def test_two_that_do_not_agree(
    change: Callable[[Both], None], to_client: str, to_server: str
) -> None:
    both = Both()
    change(both)
    for side, words in zip(both.fail(), (to_client, to_server), strict=True):
        assert side.error
        told = no_handshake("there:1", side.error, server=side.server)
        assert isinstance(told, HandshakeError)
        assert str(told) == f"TLS with there:1 failed: {words}"
        assert told.kind == f"TLS failed: {words.removesuffix(told.hint).removesuffix(': ')}"


def alert(code: int) -> bytes:
    """A fatal alert before there are keys: RFC 8446, section 6."""
    return bytes([0x15, 3, 3, 0, 2, 2, code])


NOT_TLS = "it does not speak TLS: try it without --tls"
CLOSED = "it closed the connection: does it speak TLS?"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", NOT_TLS),
        (b"220 smtp ready\r\n", NOT_TLS),
        (None, NOT_TLS),  # an echo
        (b"", CLOSED),
        (bytes([0x15, 3, 3, 0, 2, 1, 0]), CLOSED),  # close_notify
        (alert(40), REFUSES),
        *((alert(code), REFUSES_OURS) for code in (42, 43, 44, 45, 46, 48, 49, 51)),
        (alert(70), NO_VERSION + OLD),
        (alert(71), NO_CIPHER + OLD),
        (alert(116), WANTS_OURS),
        (alert(80), "tlsv1 alert internal error"),
    ],
)
def test_what_a_server_answers_to_a_client(answer: bytes | None, words: str) -> None:
    client = InHand(tls.contexts(server=False)[0], name=tls.NAME)
    hello = client.step()
    if answer == b"":
        client.incoming.write_eof()
    client.step(hello if answer is None else answer)
    assert client.error
    told = no_handshake("there:1", client.error, server=False)
    assert (type(told), str(told)) == (HandshakeError, f"TLS with there:1 failed: {words}")


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (b"GET / HTTP/1.0\r\n\r\n", "it does not speak TLS: it must use TLS, too"),
        (b"CONNECT there:1 HTTP/1.0\r\n\r\n", "it does not speak TLS: it must use TLS, too"),
        (b"hello, server\n", "it does not speak TLS: it must use TLS, too"),
        (b"\x16\3\1\xff\xff\1\0\0" + bytes(70000), "it does not speak TLS: it must use TLS, too"),
        (b"", "it closed the connection"),
    ],
)
def test_what_a_client_says_to_a_server(said: bytes, words: str) -> None:
    server = InHand(tls.contexts(server=True)[0], server=True)
    if not said:
        server.incoming.write_eof()
    server.step(said)
    assert server.error
    assert (
        str(no_handshake("here:2", server.error, server=True)) == f"TLS with here:2 failed: {words}"
    )


def failure(reason: str | None) -> ssl.SSLError:
    error = ssl.SSLError(1, "")
    error.reason = reason  # type: ignore[assignment]
    return error


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("TLSV1_ALERT_NO_APPLICATION_PROTOCOL", "it supports none of the protocols of --tls-alpn"),
        ("NO_APPLICATION_PROTOCOL", "it supports none of the protocols of --tls-alpn"),
        ("VERSION_TOO_LOW", NO_VERSION + OLD),
        ("SOMETHING_NEW", "something new"),
        (None, "OpenSSL does not say why"),
    ],
)
def test_reasons_that_not_every_openssl_gives(reason: str | None, words: str) -> None:
    told = no_handshake("there:1", failure(reason), server=False)
    assert str(told) == f"TLS with there:1 failed: {words}"


def test_a_check_without_words_of_ours_has_those_of_openssl() -> None:
    error = ssl.SSLCertVerificationError(1, "")
    error.reason = "CERTIFICATE_VERIFY_FAILED"
    error.verify_code, error.verify_message = 79, "invalid CA certificate"
    told = no_handshake("there:1", error, server=False)
    assert f"is not trusted: invalid CA certificate{TRUST_IT}" in str(told)


@pytest.mark.parametrize(
    ("reason", "kind", "words"),
    [
        (
            "TLSV13_ALERT_CERTIFICATE_REQUIRED",
            HandshakeError,
            f"TLS with there:1 failed: {WANTS_OURS}",
        ),
        ("TLSV1_ALERT_UNKNOWN_CA", HandshakeError, f"TLS with there:1 failed: {REFUSES_OURS}"),
        (
            "DECRYPTION_FAILED_OR_BAD_RECORD_MAC",
            ReceiveError,
            "receiving from there:1 failed: decryption failed or bad record mac (TLS)",
        ),
    ],
)
def test_a_session_that_breaks_later(reason: str, kind: type, words: str) -> None:
    told = broken("there:1", failure(reason))
    assert (type(told), str(told)) == (kind, words)
    assert "there:1" not in told.kind
    assert told.kind


@pytest.mark.parametrize(
    ("hint", "told"),
    [
        ("give --tls-ca or --tls-fingerprint", "give --to-tls-ca or --to-tls-fingerprint"),
        ("try it without --tls", "try it without --to-tls"),
        ("add --tls-cert and --tls-key", ""),  # a relay shows its target none
        ("for an old device lower --tls-min", ""),
    ],
)
def test_hints_have_the_names_of_the_command(hint: str, told: str) -> None:
    assert renamed(HandshakeError("x", hint), "--tls").hint == hint
    assert renamed(HandshakeError("x", hint), "--to-tls").hint == told
