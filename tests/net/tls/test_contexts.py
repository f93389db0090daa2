"""Each option is one that handshakes obey, most of them with a peer that does not know ours."""

from __future__ import annotations

import ssl
import warnings
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import trustme
from cryptography.hazmat.primitives import serialization

from sockkit.core.address import Address, HostPort, UnixPath
from sockkit.errors import UsageError
from sockkit.events import Event, Notice
from sockkit.net.tls import contexts
from sockkit.net.tls.contexts import TlsSetup
from sockkit.net.tls.options import ClientTls, Identity, ServerTls, Version
from tests.net import kit, tls
from tests.net.tls import InHand, written

HERE = HostPort(tls.NAME, 443)
PASSPHRASE = b"secret"


class Made:
    """Makes what a command would, from options, and keeps what was said."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.events: list[Event] = []
        self.environment: dict[str, str] = {}

    def file(self, name: str, data: bytes) -> str:
        (self.path / name).write_bytes(data)
        return str(self.path / name)

    def authority(self, ca: trustme.CA | None = None) -> str:
        return written((ca or tls.authority()).cert_pem, self.path / "ca.pem")

    def identity(self, name: str = tls.NAME, ca: trustme.CA | None = None) -> Identity:
        leaf = tls.leaf(name, ca=ca)
        return Identity(
            written(leaf.cert_chain_pems[0], self.path / f"{name}.pem"),
            written(leaf.private_key_pem, self.path / f"{name}.key"),
        )

    def encrypted(self) -> Identity:
        identity = self.identity()
        key = serialization.load_pem_private_key(Path(identity.key or "").read_bytes(), None)
        pem = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(PASSPHRASE),
        )
        return identity._replace(key=self.file("encrypted.key", pem))

    def _run(self) -> Any:
        nothing: Any = None
        return kit.context(nothing, emit=self.events.append, environment=self.environment)

    def client(self, address: Address = HERE, **options: Any) -> TlsSetup:
        return contexts.client(ClientTls(**options), address, self._run())

    def trusting(self, address: Address = HERE, **options: Any) -> TlsSetup:
        return self.client(address, ca=self.authority(), **options)

    def server(self, **options: Any) -> TlsSetup:
        options.setdefault("identity", self.identity())
        return contexts.server(ServerTls(**options), "", self._run())

    def notices(self) -> str:
        return " ".join(event.text for event in self.events if isinstance(event, Notice))


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return Made(tmp_path)


def meet(
    client: TlsSetup | ssl.SSLContext, server: TlsSetup | ssl.SSLContext
) -> tuple[InHand, InHand]:
    """What comes of a handshake, which may fail."""
    name = client.name if isinstance(client, TlsSetup) else tls.NAME
    both = [side.context if isinstance(side, TlsSetup) else side for side in (client, server)]
    ours, theirs = InHand(both[0], name=name), InHand(both[1], server=True)
    tls.shake_hands(ours, theirs)
    return ours, theirs


def agree(client: TlsSetup | ssl.SSLContext, server: TlsSetup | ssl.SSLContext) -> bool:
    ours, theirs = meet(client, server)
    return ours.done and theirs.done and not (ours.error or theirs.error)


def peer(*, server: bool, name: str = tls.NAME, ca: trustme.CA | None = None) -> ssl.SSLContext:
    """Of a peer that trusts as we do."""
    context = tls.contexts(server=server)[0]
    if server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.leaf(name, ca=ca).configure_cert(context)
    return context


# Whom a client trusts.


def test_a_client_trusts_whom_the_file_names_alone(made: Made) -> None:
    assert agree(made.trusting(), peer(server=True))
    assert not agree(made.trusting(), peer(server=True, ca=tls.stranger()))
    assert made.notices() == ""


def test_without_a_file_a_client_trusts_whom_the_system_trusts(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", made.authority())
    assert agree(made.client(), peer(server=True))
    assert not agree(made.client(), peer(server=True, ca=tls.stranger()))


def test_with_a_file_a_client_does_not_trust_whom_the_system_trusts(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", made.authority())
    stranger = made.file("stranger.pem", tls.stranger().cert_pem.bytes())
    assert not agree(made.client(ca=stranger), peer(server=True))


def test_trust_is_the_same_on_every_python(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    """A newer one has VERIFY_X509_STRICT, and refuses authorities that say too little."""

    def newer(protocol: Any) -> ssl.SSLContext:
        context = ssl.SSLContext(protocol)
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        context.verify_flags &= ~ssl.VERIFY_X509_PARTIAL_CHAIN
        return context

    monkeypatch.setattr(contexts, "ssl", SimpleNamespace(**{**vars(ssl), "SSLContext": newer}))
    for setup in (made.trusting(), made.server()):
        assert not setup.context.verify_flags & ssl.VERIFY_X509_STRICT
        assert setup.context.verify_flags & ssl.VERIFY_X509_PARTIAL_CHAIN


def test_a_file_may_hold_the_servers_own_certificate(made: Made) -> None:
    own = made.file("own.pem", tls.leaf().cert_chain_pems[0].bytes())
    assert agree(made.client(ca=own), peer(server=True))


@pytest.mark.parametrize(
    ("address", "name", "asked"),
    [
        (HostPort("server.example", 1), None, "server.example"),
        (HostPort("server.example.", 1), None, "server.example"),
        (HostPort("other.example", 1), "server.example", "server.example"),
        (HostPort("127.0.0.1", 1), None, "127.0.0.1"),
        (HostPort("::1", 1), None, "::1"),
        (HostPort("fe80::1%lo", 1), None, "fe80::1"),
        (UnixPath("/run/x"), "server.example", "server.example"),
    ],
)
def test_the_name_is_asked_for_and_checked(
    address: Address, name: str | None, asked: str, made: Made
) -> None:
    setup = made.trusting(address, name=name)
    assert setup.name == asked
    assert agree(setup, peer(server=True, name=asked))
    assert not agree(setup, peer(server=True, name="another.example"))


def test_the_server_is_told_the_name(made: Made) -> None:
    told: list[str | None] = []
    context = peer(server=True)
    context.sni_callback = lambda _, name, __: told.append(name)
    meet(made.trusting(HostPort("other.example", 1), name=tls.NAME), context)
    assert told == [tls.NAME]


@pytest.mark.parametrize("options", [{}, {"ca": "ca.pem"}])
def test_a_socket_in_the_file_system_has_no_name(options: dict[str, str], made: Made) -> None:
    with pytest.raises(UsageError, match=r"unix:/run/x has no server name to check: .*--tls-name"):
        made.client(UnixPath("/run/x"), **options)


@pytest.mark.parametrize("options", [{"insecure": True}, {"fingerprint": bytes(32)}])
def test_a_client_may_check_nothing_here(options: dict[str, Any], made: Made) -> None:
    """A fingerprint is checked once the handshake is done: test_handshake.py."""
    for address in (HERE, UnixPath("/run/x")):
        setup = made.client(address, **options)
        assert agree(setup, peer(server=True, name="other.example", ca=tls.stranger()))
        assert setup.fingerprint == options.get("fingerprint")
    assert ("is not checked (--tls-insecure)" in made.notices()) == ("insecure" in options)


@pytest.mark.parametrize("name", [".example", "a" * 300, "a..b"])
def test_a_name_that_cannot_be_one(name: str, made: Made) -> None:
    with pytest.raises(UsageError, match="cannot be the name of a server"):
        made.trusting(name=name)


def test_many_names_share_what_takes_long_to_make(made: Made) -> None:
    hosts = [HostPort("a.example", 1), HostPort("b.example.", 2), HostPort("fe80::1%lo", 3)]
    setups = contexts.clients(ClientTls(insecure=True), hosts, made._run())
    assert [setup.name for setup in setups] == ["a.example", "b.example", "fe80::1"]
    assert len({id(setup.context) for setup in setups}) == 1
    assert len(made.events) == 1
    with pytest.raises(UsageError, match="has no server name to check"):
        contexts.clients(ClientTls(), [*hosts, UnixPath("/x")], made._run())


# What both allow.


@pytest.mark.parametrize("version", Version)
@pytest.mark.parametrize("server", [False, True])
def test_nothing_older_than_the_minimum(server: bool, version: Version, made: Made) -> None:
    make = made.server if server else made.trusting
    setup = make(minimum=version)
    old = version in (Version.V1_0, Version.V1_1)
    assert (f"TLS {version} is allowed" in made.notices()) == old
    for index, newest in enumerate(Version):
        other = peer(server=not server)
        other.set_ciphers("DEFAULT@SECLEVEL=0")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            other.minimum_version = ssl.TLSVersion.TLSv1
            other.maximum_version = contexts._VERSIONS[newest]
        allowed = index >= list(Version).index(version)
        assert agree(*((other, setup) if server else (setup, other))) == allowed


def test_the_ciphers_of_old_versions_are_theirs_alone(made: Made) -> None:
    assert made.trusting().context.security_level > 0
    assert made.trusting(minimum=Version.V1_0).context.security_level == 0


@pytest.mark.parametrize("server", [False, True])
def test_a_protocol_is_agreed_on(server: bool, made: Made) -> None:
    setup = (made.server if server else made.trusting)(alpn=("h2", "http/1.1"))
    other = peer(server=not server)
    other.set_alpn_protocols(["x", "http/1.1"])
    for side in meet(*((other, setup) if server else (setup, other))):
        assert side.tls.selected_alpn_protocol() == "http/1.1"


@pytest.mark.parametrize("names", [("",), ("x" * 256,), ("ü",)])
def test_protocols_that_cannot_be_meant(names: tuple[str, ...], made: Made) -> None:
    with pytest.raises(UsageError, match="not a list of protocols: write --tls-alpn as"):
        made.trusting(alpn=names)


def test_a_peer_cannot_make_us_negotiate_again_and_gets_no_ticket(made: Made) -> None:
    for setup in (made.trusting(), made.server()):
        assert setup.context.options & ssl.OP_NO_RENEGOTIATION
    assert made.server().context.num_tickets == 0
    for version in (tls.V12, tls.V13):
        client = peer(server=False)
        client.maximum_version = version
        ours, theirs = meet(client, made.server())
        assert theirs.done
        session = ours.tls.session
        assert session is None or not session.has_ticket


def test_the_keys_are_written_where_the_environment_says(made: Made) -> None:
    for make, other in (
        (lambda: made.trusting(), peer(server=True)),
        (lambda: made.server(), peer(server=False)),
    ):
        path = made.path / "keys"
        made.environment["SSLKEYLOGFILE"] = str(path)
        setup = make()
        assert agree(*((other, setup) if setup.server else (setup, other)))
        assert "CLIENT_TRAFFIC_SECRET_0" in path.read_text()
        path.unlink()
        setup.context.keylog_filename = None  # which closes the file
        del made.environment["SSLKEYLOGFILE"]
        assert agree(*((other, setup) if setup.server else (setup, other)))
        assert make().context.keylog_filename is None


def test_keys_that_cannot_be_written(made: Made) -> None:
    made.environment["SSLKEYLOGFILE"] = str(made.path)
    with pytest.raises(UsageError, match=f"could not write SSLKEYLOGFILE {made.path}: is a dir"):
        made.trusting()


# Who we are, and who a client must be.


def test_a_server_without_a_certificate_makes_one(made: Made) -> None:
    setup = made.server(identity=None)
    ours, _ = meet(made.client(insecure=True), setup)
    shown = ours.tls.getpeercert(binary_form=True) or b""
    assert setup.fingerprint == tls.sha256(shown)
    assert made.server().fingerprint is None


def in_one(made: Made) -> Identity:
    leaf = tls.leaf()
    pem = leaf.cert_chain_pems[0].bytes() + leaf.private_key_pem.bytes()
    return Identity(made.file("both.pem", pem))


@pytest.mark.parametrize(
    "identity",
    [Made.identity, in_one, lambda made: made.encrypted()._replace(passphrase=PASSPHRASE)],
)
def test_a_server_is_who_its_files_say(identity: Callable[[Made], Identity], made: Made) -> None:
    assert agree(made.trusting(), made.server(identity=identity(made)))


@pytest.mark.parametrize(
    ("shown", "admitted"), [(None, False), (tls.authority, True), (tls.stranger, False)]
)
def test_a_server_may_demand_a_certificate(
    shown: Callable[[], trustme.CA] | None, admitted: bool, made: Made
) -> None:
    identity = made.identity("client.example", ca=shown()) if shown else None
    client = made.trusting(identity=identity)
    server = made.server(client_ca=made.authority())
    assert agree(client, server) == admitted
    assert agree(client, made.server())


BAD = b"-----BEGIN NOTHING-----\n"


def mismatched(made: Made) -> Identity:
    return made.identity()._replace(key=made.identity("other.example").key)


@pytest.mark.parametrize(
    ("identity", "words"),
    [
        (mismatched, r"the key in .*other.example.key does not match the certificate in .*e.pem"),
        (Made.encrypted, "encrypted.key contains no PEM key"),
        (
            lambda made: made.encrypted()._replace(passphrase=b"wrong"),
            "the passphrase of .*encrypted.key is wrong",
        ),
        (
            lambda made: made.encrypted()._replace(passphrase=b"x" * 2000),
            "the passphrase of .*encrypted.key is wrong",
        ),
        (
            lambda made: made.encrypted()._replace(
                cert=made.file("bad", BAD), passphrase=PASSPHRASE
            ),
            "bad contains no PEM certificate",
        ),
        (
            lambda made: made.identity()._replace(cert=made.file("bad", BAD)),
            "bad contains no PEM certificate",
        ),
        (
            lambda made: made.identity()._replace(key=made.file("bad", BAD)),
            "bad contains no PEM key",
        ),
        (
            lambda made: made.identity()._replace(key=None),
            "example.pem contains no PEM key: add --tls-key",
        ),
        (lambda made: Identity("/missing"), "could not read /missing or /missing: no such file"),
    ],
)
@pytest.mark.parametrize("server", [False, True])
def test_files_that_say_nothing_are_told_in_words(
    server: bool, identity: Callable[[Made], Identity], words: str, made: Made
) -> None:
    make = made.server if server else made.trusting
    with pytest.raises(UsageError, match=words):
        make(identity=identity(made))


@pytest.mark.parametrize("server", [False, True])
def test_authorities_that_are_none(server: bool, made: Made) -> None:
    for path, words in [
        (made.file("bad", BAD), "bad contains no PEM certificates"),
        (made.file("empty", b""), "empty contains no PEM certificates"),
        ("/missing", "could not read /missing: no such file"),
    ]:
        with pytest.raises(UsageError, match=words):
            made.server(client_ca=path) if server else made.client(ca=path)
