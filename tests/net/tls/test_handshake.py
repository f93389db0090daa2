"""Handshakes of a client and of a server with many, on a clock that stands still."""

from __future__ import annotations

import contextlib
import gc
import ssl
import weakref
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from sockkit.core.address import HostPort
from sockkit.errors import HandshakeError, SockkitError, TimedOut, TrustError
from sockkit.events import Closed, Connected, Event, Peer, Secured
from sockkit.net.ends.memory import MemoryEnd, memory_pair
from sockkit.net.ends.tls_end import TlsEnd
from sockkit.net.loop import Loop
from sockkit.net.options import SocketOptions
from sockkit.net.scheduler import Scheduler
from sockkit.net.tcp.dial import ConnectOptions, dial
from sockkit.net.tcp.listen import ListenOptions
from sockkit.net.tls import handshake as module
from sockkit.net.tls.contexts import MAX_SECONDS, TlsSetup
from sockkit.net.tls.handshake import Handshakes, secure
from sockkit.net.waiting import Pending, wait_for
from tests.net import kit, tls
from tests.net.site import at_end, read_all, turn
from tests.net.tls import InHand

loop, stack = kit.loop, kit.stack

HTTP = b"GET / HTTP/1.0\r\n\r\n"


def read(end: TlsEnd) -> bytes:
    buffer = memoryview(bytearray(100_000))
    return bytes(buffer[: end.read_into(buffer)])


class Client:
    """Does a handshake over `near`; `outcome` is what comes of it."""

    def __init__(self, loop: Loop, near: MemoryEnd, setup: TlsSetup) -> None:
        self.near = near
        self.events: list[Event] = []
        self.outcomes: list[TlsEnd | SockkitError] = []
        context = kit.context(loop, emit=self.events.append)
        self.pending: Pending = secure(context, near, setup, self.outcomes.append)

    @property
    def outcome(self) -> TlsEnd | SockkitError | None:
        assert len(self.outcomes) <= 1
        return self.outcomes[0] if self.outcomes else None

    @property
    def end(self) -> TlsEnd:
        assert isinstance(self.outcome, TlsEnd)
        return self.outcome


class Place:
    """A server's handshakes, and its clients: each is the far side of an end in memory."""

    def __init__(self, loop: Loop, patch: pytest.MonkeyPatch) -> None:
        self.loop, self.clock = loop, kit.Clock(loop, patch)
        context, self.trusting = tls.contexts(server=True)
        self.trusting.check_hostname = True
        self.setup = TlsSetup(context, True)
        self.for_client = TlsSetup(self.trusting, False, tls.NAME)
        self.events: list[Event] = []
        self.done: list[TlsEnd] = []
        self.handshakes = Handshakes(loop, self.events.append, self.setup, self.done.append)
        self._count = 0

    def newcomer(self) -> MemoryEnd:
        near, far = memory_pair(self.loop)
        self._count += 1
        near.peer = Peer(self._count, f"there:{self._count}")
        self.handshakes.begin(near)
        return far

    def client(self, far: MemoryEnd | None = None) -> Client:
        """One that speaks TLS."""
        return Client(self.loop, far or self.newcomer(), self.for_client)

    def turn(self) -> None:
        turn(self.loop)

    def passes(self, seconds: float) -> None:
        self.clock.passes(seconds)
        self.turn()

    def told(self) -> list[tuple[int, str]]:
        """Whose handshakes have failed, and why."""
        closed = kit.of_kind(self.events, Closed)
        assert not any(event.lost or event.sent or event.received for event in closed)
        return [(event.peer.number, event.kind) for event in closed]


@pytest.fixture
def place(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> Place:
    # The loop's clock stands still, so all that is done is done in one turn.
    quick = partial(Scheduler, clock=lambda: 0.0)
    monkeypatch.setattr("sockkit.net.tls.handshake.Scheduler", quick)
    return Place(loop, monkeypatch)


# What comes of one that is done.


def test_both_are_told_what_was_agreed_on(place: Place) -> None:
    for context in (place.setup.context, place.trusting):
        context.set_alpn_protocols(["h2"])
    client = place.client()
    place.turn()
    (ours,), (theirs,) = client.events, place.events
    assert isinstance(ours, Secured)
    assert isinstance(theirs, Secured)
    for event in (ours, theirs):
        assert (event.version, event.cipher[:4], event.protocol) == ("TLS 1.3", "TLS_", "h2")
    assert ours.fingerprint == tls.fingerprint(tls.leaf()).hex()
    assert ours.subject.startswith("organizationName=trustme")
    assert "Testing CA" in ours.issuer
    assert ours.expires.endswith("GMT")
    assert theirs.peer == Peer(1, "there:1")
    assert theirs[4:] == ("", "", "", "")
    assert (client.end.name, place.done[0].name) == ("here:2", "there:1")


def test_a_server_tells_who_its_client_is(place: Place) -> None:
    tls.leaf("client.example").configure_cert(place.trusting)
    tls.authority().configure_trust(place.setup.context)
    place.setup.context.verify_mode = ssl.CERT_REQUIRED
    place.client()
    place.turn()
    (secured,) = kit.of_kind(place.events, Secured)
    assert secured.fingerprint == tls.fingerprint(tls.leaf("client.example")).hex()


def test_a_certificate_that_is_not_checked_is_known_by_its_fingerprint_alone(
    place: Place,
) -> None:
    place.trusting.check_hostname, place.trusting.verify_mode = False, ssl.CERT_NONE
    client = place.client()
    place.turn()
    (secured,) = kit.of_kind(client.events, Secured)
    assert secured[4:] == ("", "", "", tls.fingerprint(tls.leaf()).hex())


def unreadable(path: Path) -> ssl.SSLContext:
    """A client's context. Its certificate, in `path`, signs itself and is not all UTF-8."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "client")])
    kind, mail = x509.ExtensionOID.SUBJECT_ALTERNATIVE_NAME, b"\xff@x"
    names = bytes([0x30, len(mail) + 2, 0x81, len(mail)]) + mail  # RFC 5280, section 4.2.1.6
    cert = (
        x509.CertificateBuilder(name, name, key.public_key(), serial_number=1)
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2099, 1, 1, tzinfo=UTC))
        .add_extension(x509.UnrecognizedExtension(kind, names), critical=False)
        .sign(key, SHA256())
    )
    pem = Encoding.PEM
    path.write_bytes(
        key.private_bytes(pem, PrivateFormat.PKCS8, NoEncryption()) + cert.public_bytes(pem)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.authority().configure_trust(context)
    context.load_cert_chain(path)
    return context


def test_a_certificate_that_is_no_text_is_known_by_its_fingerprint_alone(
    place: Place, tmp_path: Path
) -> None:
    context = unreadable(tmp_path / "client.pem")
    place.setup.context.load_verify_locations(tmp_path / "client.pem")
    place.setup.context.verify_mode = ssl.CERT_REQUIRED
    place.for_client = TlsSetup(context, False, tls.NAME)
    place.client()
    place.turn()
    (secured,) = kit.of_kind(place.events, Secured)
    assert secured[4:7] == ("", "", "")
    assert len(secured.fingerprint) == 64


def test_a_long_name_is_shown_in_part(place: Place) -> None:
    assert module._name(((("commonName", "x" * 1000),),)) == f"commonName={'x' * 189}"
    assert module._name(((("a", "b"),), (("c", "d"), ("e", "f")))) == "a=b, c=d, e=f"


def test_ends_are_handed_over_with_what_came_along(place: Place) -> None:
    far = place.newcomer()
    client = InHand(place.trusting, name=tls.NAME)
    answer = client.step()
    while not client.done:
        far.write(answer)
        place.turn()
        answer = client.step(read_all(far))
    far.write(answer + client.sealed(b"early"))
    place.turn()
    (end,) = place.done
    assert read(end) == b"early"
    end.write(b"answer")
    assert client.opened(read_all(far)) == b"answer"


def test_one_that_is_done_is_watched_no_more(place: Place) -> None:
    client = place.client()
    place.turn()
    place.passes(MAX_SECONDS + 1)
    assert (place.told(), len(place.done)) == ([], 1)
    assert isinstance(client.outcome, TlsEnd)
    place.handshakes.close_all()
    assert not client.near.other.closed
    client.end.write(b"x")
    place.turn()
    assert read(place.done[0]) == b"x"


# What it costs.


class Made:
    """The ends that handshakes make, and whether OpenSSL still holds anything for them."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._held: list[weakref.ref[ssl.SSLObject]] = []
        patch.setattr(module, "TlsEnd", self._make)

    def _make(self, *arguments: Any, **options: Any) -> TlsEnd:
        end = TlsEnd(*arguments, **options)
        self._held.append(weakref.ref(end.tls))
        return end

    def __len__(self) -> int:
        return len(self._held)

    @property
    def alive(self) -> int:
        return sum(held() is not None for held in self._held)


def test_a_peer_that_says_nothing_costs_nothing_of_openssl(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, far = Made(monkeypatch), place.newcomer()
    place.turn()
    assert len(made) == 0
    far.write(b"\x16")
    place.turn()
    assert len(made) == 1


@pytest.mark.parametrize("hello", [True, False])
@pytest.mark.parametrize("ends", ["half_close", "abort", "write", "stall", "others"])
def test_a_handshake_that_fails_keeps_nothing_of_openssl(
    hello: bool, ends: str, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the garbage collector looks: it may not for thousands of peers."""
    monkeypatch.setattr(module, "MAX_HANDSHAKES", 1)
    made, far = Made(monkeypatch), place.newcomer()
    far.write(InHand(place.trusting, name=tls.NAME).step() if hello else b"\x16")
    place.turn()
    gc.disable()
    try:
        if ends == "stall":
            place.passes(MAX_SECONDS + 1)
        elif ends == "others":
            place.newcomer()
        else:
            getattr(far, ends)(*([HTTP] if ends == "write" else []))
        place.turn()
        assert (len(place.told()), len(made), made.alive) == (1, 1, 0)
    finally:
        gc.enable()


# Silence.


def test_each_that_stalls_ends_at_its_own_deadline_and_delays_nobody(place: Place) -> None:
    hello = InHand(place.trusting, name=tls.NAME).step()
    stalled = [place.newcomer()]
    place.passes(4)
    stalled.append(place.newcomer())
    stalled[1].write(hello[:50])
    place.turn()
    client = place.client()
    place.turn()
    assert isinstance(client.outcome, TlsEnd)
    place.passes(MAX_SECONDS - 4.1)
    assert place.told() == []
    place.passes(0.2)
    assert place.told() == [(1, "TLS failed: no handshake within 10 s")]
    place.passes(3.8)
    assert place.told() == [(1, "TLS failed: no handshake within 10 s")]
    place.passes(0.2)
    assert place.told() == [(number, "TLS failed: no handshake within 10 s") for number in (1, 2)]
    place.passes(1)  # the close lingers
    place.passes(1)
    assert [at_end(far) for far in stalled] == [True, True]


def test_a_byte_now_and_then_does_not_extend_the_deadline(place: Place) -> None:
    hello = InHand(place.trusting, name=tls.NAME).step()
    far = place.newcomer()
    for index in range(9):
        far.write(hello[index : index + 1])
        place.passes(MAX_SECONDS / 9 - 0.01)
    assert place.told() == []
    place.passes(0.1)
    assert place.told() == [(1, "TLS failed: no handshake within 10 s")]


def test_a_server_that_stalls_ends_a_clients_handshake(place: Place) -> None:
    near, far = memory_pair(place.loop)
    client = Client(place.loop, near, place.for_client)
    place.passes(MAX_SECONDS - 0.1)
    assert (client.outcome, near.closed) == (None, False)
    place.passes(0.2)
    assert isinstance(client.outcome, TimedOut)
    assert (
        str(client.outcome)
        == "TLS with there:1 failed: no handshake within 10 s: does it speak TLS?"
    )
    assert near.closed
    assert not near.watched
    assert read_all(far)


# As many as are allowed.


def test_one_more_closes_the_one_that_was_silent_for_longest(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_HANDSHAKES", 3)
    hello = InHand(place.trusting, name=tls.NAME).step()
    ends = [place.newcomer() for _ in range(3)]
    for index, speaks in enumerate([0, 2]):
        ends[speaks].write(hello[index : index + 1])
        place.turn()
    others = "TLS failed: others came meanwhile"
    ends.append(place.newcomer())
    assert place.told() == [(2, others)]
    ends.append(place.newcomer())
    assert place.told() == [(2, others), (1, others)]
    place.turn()
    assert [end.other.closed for end in ends] == [True, True, False, False, False]
    assert at_end(ends[1])
    client = place.client(ends[3])  # which completes, and makes space
    place.turn()
    assert isinstance(client.outcome, TlsEnd)
    place.newcomer()
    assert len(place.told()) == 2
    place.passes(MAX_SECONDS + 1)  # those that were closed have no deadline
    assert sorted(number for number, _ in place.told()) == [1, 2, 3, 5, 6]


def test_all_are_closed_with_their_server(place: Place) -> None:
    ends = [place.newcomer() for _ in range(3)]
    ends[0].write(HTTP)  # this one lingers when all are closed
    ends[1].write(b"\x16")
    place.turn()
    place.handshakes.close_all()
    assert all(end.other.closed and not end.other.watched for end in ends)
    before = place.told()
    place.passes(MAX_SECONDS + 1)
    assert place.told() == before == [(1, "TLS failed: it does not speak TLS")]
    assert place.done == []


# Failures.


@pytest.mark.parametrize(
    ("says", "why"),
    [
        (lambda far: far.half_close(), "it closed the connection"),
        (lambda far: far.abort(), "connection reset by peer"),
        (lambda far: far.write(HTTP), "it does not speak TLS"),
        (lambda far: far.write(b"hello\n"), "it does not speak TLS"),
    ],
)
def test_what_is_told_of_a_peer_that_speaks_no_tls(
    says: Callable[[MemoryEnd], object], why: str, place: Place
) -> None:
    says(place.newcomer())
    near, far = memory_pair(place.loop)
    client = Client(place.loop, near, place.for_client)
    place.turn()
    says(far)
    place.turn()
    assert place.told() == [(1, f"TLS failed: {why}")]
    assert isinstance(client.outcome, HandshakeError)
    assert str(client.outcome).startswith(f"TLS with there:1 failed: {why}")
    assert client.outcome.hint
    assert near.closed
    place.passes(1)
    assert place.done == []
    assert place.newcomer().other.watched  # others are served


def test_a_certificate_that_is_not_trusted_ends_a_clients_handshake(place: Place) -> None:
    far = place.newcomer()
    client = Client(place.loop, far, place.for_client._replace(name="other.example"))
    place.turn()
    assert isinstance(client.outcome, TrustError)
    shown = tls.fingerprint(tls.leaf()).hex()
    assert f"it is not for other.example (SHA-256 {shown})" in str(client.outcome)
    assert place.told() == [(1, "TLS failed: it rejected our certificate")]


def by_fingerprint(place: Place, fingerprint: bytes) -> Client:
    place.trusting.check_hostname, place.trusting.verify_mode = False, ssl.CERT_NONE
    setup = TlsSetup(place.trusting, False, "x", fingerprint=fingerprint)
    client = Client(place.loop, place.newcomer(), setup)
    place.turn()
    return client


def test_a_fingerprint_takes_the_place_of_all_checks(place: Place) -> None:
    client = by_fingerprint(place, tls.fingerprint(tls.leaf()))
    assert isinstance(client.outcome, TlsEnd)


@pytest.mark.parametrize("version", [tls.V12, tls.V13])
def test_a_wrong_fingerprint_fails_before_any_data(version: ssl.TLSVersion, place: Place) -> None:
    """With TLS 1.3 the server is told why; before that, it gets a regular end."""
    place.trusting.maximum_version = version
    client = by_fingerprint(place, bytes(32))
    assert isinstance(client.outcome, TrustError)
    shown = tls.fingerprint(tls.leaf()).hex()
    assert f"its fingerprint is {shown}: if that is the right one, use it with --tls-fing" in str(
        client.outcome
    )
    assert client.near.closed
    assert client.events == []
    if version is tls.V13:
        assert place.told() == [(1, "TLS failed: it rejected our certificate")]
        assert place.done == []
    else:
        assert place.told() == []
        assert read(place.done[0]) == b""


def test_a_server_does_not_ask_its_clients_for_its_own_fingerprint(place: Place) -> None:
    place.setup = place.setup._replace(fingerprint=bytes(32))
    place.handshakes = Handshakes(place.loop, place.events.append, place.setup, place.done.append)
    place.client()
    place.turn()
    assert len(place.done) == 1


def test_the_alert_reaches_a_client_that_has_sent_more(place: Place) -> None:
    """It says why; a connection that is closed at once would be reset, and the alert lost."""
    place.setup.context.verify_mode = ssl.CERT_REQUIRED
    tls.authority().configure_trust(place.setup.context)
    client = place.client()
    while client.outcome is None:
        kit.do(place.loop, kit.turns(1), place.loop.stop)
        place.loop.run()
    client.end.write(bytes(50_000))
    place.turn()
    assert place.told() == [(1, "TLS failed: it sent no certificate")]
    client.end.write(bytes(50_000))
    place.passes(0.1)
    with pytest.raises(HandshakeError, match="it requires a client certificate"):
        read(client.end)


@pytest.mark.parametrize("turns", [0, 1])
def test_one_that_is_cancelled_calls_nobody_back(turns: int, place: Place) -> None:
    client = place.client()
    if turns:
        kit.do(place.loop, kit.turns(turns), place.loop.stop)
        place.loop.run()
    client.pending.cancel()
    place.passes(MAX_SECONDS + 1)
    assert client.outcomes == []
    assert client.near.closed
    assert not client.near.watched


def test_one_whose_end_is_closed_already_may_be_cancelled(place: Place) -> None:
    client = place.client()
    place.turn()
    client.end.close()
    client.pending.cancel()
    assert client.near.closed


# Over TCP.


class Site:
    """A listener and its port; `events` are those of both sides."""

    def __init__(self, loop: Loop, stack: kit.Stack) -> None:
        self.loop, self.stack = loop, stack
        ours, theirs = tls.contexts(server=True)
        self.client, self.server = TlsSetup(theirs, False, tls.NAME), TlsSetup(ours, True)
        self.events: list[Event] = []
        self.accepted: list[TlsEnd] = []
        options = ListenOptions(HostPort(kit.HERE, 0), tls=self.server)
        self.listener = kit.listening(loop, options, emit=self.events.append)
        stack.callback(self.listener.close)
        self.listener.accept(self._accept)

    def _accept(self, end: TlsEnd) -> None:
        self.stack.callback(end.close)
        self.accepted.append(end)

    def dial(self, setup: TlsSetup) -> TlsEnd:
        address = HostPort(kit.HERE, self.listener.port or 0)
        options, context = ConnectOptions(tls=setup), kit.context(self.loop)
        end = wait_for(self.loop, partial(dial, context, address, options, SocketOptions()))
        self.stack.callback(end.close)
        assert isinstance(end, TlsEnd)
        return end


@pytest.fixture
def site(loop: Loop, stack: kit.Stack) -> Site:
    return Site(loop, stack)


def test_dialling_and_listening_hand_over_encrypted_ends(site: Site) -> None:
    end = site.dial(site.client)
    kit.run_until(site.loop, lambda: bool(site.accepted))
    assert [type(event) for event in site.events][-2:] == [Connected, Secured]
    end.write(b"question")
    site.accepted[0].when_readable(site.loop.stop)
    site.loop.run()
    assert read(site.accepted[0]) == b"question"


def test_dialling_fails_where_the_certificate_is_not_trusted(site: Site) -> None:
    """Its socket is closed, which the loop's fixture sees to."""
    with pytest.raises(TrustError):
        site.dial(site.client._replace(context=ssl.create_default_context()))
    kit.run_until(site.loop, lambda: bool(kit.of_kind(site.events, Closed)))
    assert site.accepted == []


def test_a_listener_that_is_closed_ends_handshakes(site: Site) -> None:
    with contextlib.closing(kit.socket.create_connection((kit.HERE, site.listener.port))) as sock:
        kit.run_until(site.loop, lambda: bool(kit.of_kind(site.events, Connected)))
        site.listener.close()
        assert sock.recv(1) == b""
