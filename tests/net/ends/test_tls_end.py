"""What TLS does beyond what every end promises (test_end.py)."""

from __future__ import annotations

import contextlib
import gc
import ssl
import struct
import weakref
from collections.abc import Callable
from itertools import cycle
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA384
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from hypothesis import given, settings
from hypothesis import strategies as st

from sockkit.errors import HandshakeError, ReceiveError, SendError
from sockkit.net.ends import tls_inbox, tls_outbox
from sockkit.net.ends.memory import memory_pair
from sockkit.net.ends.tls_end import TlsEnd
from sockkit.net.loop import Loop
from tests.net import kit, tls
from tests.net.site import at_end, read_all, turn

loop = kit.loop

BOTH = pytest.mark.parametrize("server", [False, True], ids=["client", "server"])
BACKLOG = 1000  # bytes, in place of MAX_WAITING_BYTES
CAPACITY = 4096  # bytes that a narrow pair holds: those of a handshake
HANDSHAKE, DATA = 0x16, 0x17  # RFC 8446, section 5.1
ASK_FOR_NEW_KEYS = b"\x18\0\0\1\1"  # section 4.6.3


class Pair:
    """A TlsEnd over memory, and its peer, of which a test carries each byte.

    `there` is the far side of the end below.
    """

    def __init__(
        self,
        loop: Loop,
        *,
        server: bool = False,
        version: ssl.TLSVersion = tls.V13,
        capacity: int = 64 * 1024,
        contexts: tuple[ssl.SSLContext, ssl.SSLContext] | None = None,
    ) -> None:
        ours, theirs = contexts or tls.contexts(server=server)
        theirs.maximum_version = version
        self.loop = loop
        self.near, self.there = memory_pair(loop, capacity=capacity)
        self.end = TlsEnd(loop, self.near, ours, None if server else tls.NAME, server=server)
        self.peer = tls.InHand(theirs, server=not server)

    def shake_hands(self, more: bytes = b"") -> Pair:
        """`more` comes in one piece with the last that the peer says of its handshake."""
        done = False
        while not (done and (self.peer.done or self.peer.error)):
            with contextlib.suppress(BlockingIOError):
                done = done or self.end.handshake() is None
            self.say(self.peer.step(read_all(self.there)))
            if more and self.peer.done:
                self.say(self.peer.sealed(more))
                more = b""
        return self

    def say(self, encrypted: bytes) -> None:
        assert self.there.write(encrypted) == len(encrypted)

    def read(self, size: int = 1000) -> bytes:
        buffer = memoryview(bytearray(size))
        return bytes(buffer[: self.end.read_into(buffer)])

    def told(self, size: int = 1000) -> bytes:
        """The same, when the end says that it is readable."""
        self.end.when_readable(self.loop.stop)
        self.loop.run()
        self.end.when_readable(None)
        return self.read(size)

    def heard(self) -> bytes:
        """What has come to the peer, decrypted."""
        return self.peer.opened(read_all(self.there))

    def gather(self, true: Callable[[], bool]) -> bytes:
        """What comes to the peer until it is `true`."""
        got = bytearray()
        while not true():
            got += self.heard()
            turn(self.loop)
        return bytes(got + self.heard())

    def fill(self) -> int:
        """Write until no more is accepted; how many bytes that is."""
        size = 0
        with contextlib.suppress(BlockingIOError):
            while True:
                size += self.end.write(bytes(10_000))
        return size


@pytest.fixture
def pair(loop: Loop) -> Pair:
    return Pair(loop).shake_hands()


# How much is read at once.


@BOTH
def test_one_read_takes_one_piece(
    server: bool, loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or a peer that sends without end what decrypts to nothing would delay all others."""
    monkeypatch.setattr(tls_inbox, "_buffer", memoryview(bytearray(100)))
    pair = Pair(loop, server=server).shake_hands()
    pair.say(pair.peer.sealed(bytes(450)))
    for left in (372, 272, 172, 72):  # a record has 22 bytes more
        with pytest.raises(BlockingIOError):
            pair.told()
        assert pair.there.queued() == left
    assert pair.told() == bytes(450)


def test_one_step_of_a_handshake_takes_one_piece(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls_inbox, "_buffer", memoryview(bytearray(100)))
    pair = Pair(loop, server=True)
    pair.say(hello := pair.peer.step())
    with pytest.raises(BlockingIOError):
        pair.end.handshake()
    assert pair.there.queued() == len(hello) - 100
    pair.shake_hands()
    pair.say(pair.peer.sealed(b"x"))
    assert pair.told() == b"x"


def test_a_peer_that_says_little_in_many_bytes_is_read_in_small_pieces(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls_inbox, "MAX_RECORD_BYTES", 1000)
    monkeypatch.setattr(tls_inbox, "COSTLY_READ_BYTES", 230)
    monkeypatch.setattr(tls_inbox, "_buffer", memoryview(bytearray(2300)))
    pair = Pair(loop, server=True).shake_hands()

    def told(sealed: list[bytes]) -> list[int]:
        """How many bytes each read takes, of some that are all there."""
        pair.say(b"".join(sealed))
        taken = []
        while before := pair.there.queued():
            with contextlib.suppress(BlockingIOError):  # half a record
                pair.told(10_000)
            taken.append(before - pair.there.queued())
        return taken

    tiny = [pair.peer.sealed(b"x") for _ in range(120)]  # 23 bytes each
    assert told(tiny) == [2300, 230, 230]
    large = [pair.peer.sealed(bytes(900)) for _ in range(4)]
    assert told(large)[-2:] == [2300, 238]


# How what is received ends.


@BOTH
def test_an_end_without_close_notify_is_told_once_all_is_read(server: bool, loop: Loop) -> None:
    pair = Pair(loop, server=server).shake_hands()
    pair.say(pair.peer.sealed(b"begun"))
    pair.there.half_close()
    assert pair.told() == b"begun"
    with pytest.raises(
        ReceiveError,
        match=r"there:1 failed: it closed without close_notify, so data may be missing",
    ) as caught:
        pair.told()
    assert caught.value.kind == "closed without close_notify, so data may be missing"
    assert (pair.told(), pair.told()) == (b"", b"")


@BOTH
@pytest.mark.parametrize("size", [4, 5, 6])
def test_close_notify_is_the_end_although_nothing_follows(
    size: int, server: bool, loop: Loop
) -> None:
    """The connection below stays open: only what has come makes the end readable."""
    pair = Pair(loop, server=server).shake_hands()
    pair.say(pair.peer.sealed(b"final") + pair.peer.close_notify())
    got = [pair.told(size) for _ in range(4)]
    assert (b"".join(got), got[-2:]) == (b"final", [b"", b""])


def test_nothing_is_read_beyond_close_notify(pair: Pair) -> None:
    pair.say(pair.peer.close_notify() + b"garbage")
    pair.there.half_close()
    assert (pair.told(), pair.told()) == (b"", b"")


def flipped(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


@pytest.mark.parametrize("early", [False, True])
def test_a_broken_record_is_told_in_words_once_all_before_it_is_read(
    early: bool, pair: Pair
) -> None:
    """Also when it was found before anybody has read."""
    pair.say(pair.peer.sealed(b"good") + flipped(pair.peer.sealed(b"bad")))
    assert not early or pair.end.has_bytes()
    assert pair.told() == b"good"
    with pytest.raises(ReceiveError, match=r"decryption failed or bad record mac \(TLS\)"):
        pair.told()
    assert pair.told() == b""
    with pytest.raises(ssl.SSLError, match=r"(?i)alert bad record mac"):
        pair.heard()
    with pytest.raises(SendError, match="its TLS session is broken"):
        pair.end.write(b"x")


def test_nothing_is_read_below_once_a_record_is_broken(pair: Pair) -> None:
    pair.say(flipped(pair.peer.sealed(b"bad")))
    assert not pair.end.has_bytes()
    pair.say(b"more")
    assert not pair.end.has_bytes()
    assert pair.there.queued() == 4


@pytest.mark.parametrize("found_by", ["read_into", "has_bytes"])
@pytest.mark.parametrize(
    ("known", "words"),
    [(True, "it requires a client certificate"), (False, "it rejected our certificate")],
)
def test_a_certificate_refused_late_is_no_handshake(
    known: bool, words: str, found_by: str, loop: Loop
) -> None:
    """TLS 1.3: the client is done before the server has seen its certificate."""
    ours, theirs = tls.contexts(server=False)
    theirs.verify_mode = ssl.CERT_REQUIRED
    tls.authority().configure_trust(theirs)
    if not known:
        tls.leaf(ca=tls.stranger()).configure_cert(ours)
    pair = Pair(loop, contexts=(ours, theirs)).shake_hands()
    assert pair.peer.error
    if found_by == "has_bytes":
        assert not pair.end.has_bytes()
    with pytest.raises(HandshakeError, match=words):
        pair.told()
    assert pair.told() == b""


# What has come before it is asked for.


@pytest.mark.parametrize(
    ("server", "version"), [(True, tls.V13), (True, tls.V12), (False, tls.V12), (False, tls.V13)]
)
def test_what_comes_with_the_end_of_the_handshake_is_readable(
    server: bool, version: ssl.TLSVersion, loop: Loop
) -> None:
    pair = Pair(loop, server=server, version=version).shake_hands(b"early")
    assert pair.told() == b"early"


@BOTH
@pytest.mark.parametrize("version", [tls.V12, tls.V13])
def test_a_half_close_loses_nothing_that_waits(
    version: ssl.TLSVersion, server: bool, loop: Loop
) -> None:
    pair = Pair(loop, server=server, version=version).shake_hands()
    *first, last = [pair.peer.sealed(text) for text in (b"one", b"two", b"three", b"four")]
    pair.say(b"".join(first) + last[:7])
    assert pair.told(3) == b"one"  # and the rest waits, decrypted or not
    pair.end.half_close()
    assert (pair.told(3), pair.told()) == (b"two", b"three")
    pair.say(last[7:])
    assert pair.told() == b"four"
    assert pair.heard() == b""
    assert pair.peer.ended


def test_the_rest_of_a_record_is_readable_without_more_from_below(pair: Pair) -> None:
    pair.say(pair.peer.sealed(b"onetwo"))
    assert (pair.told(3), pair.told(3)) == (b"one", b"two")


def test_records_that_wait_decrypted_are_readable_without_more_from_below(pair: Pair) -> None:
    pair.say(pair.peer.sealed(b"one") + pair.peer.sealed(b"two"))
    assert pair.end.has_bytes()
    assert pair.there.queued() == 0
    assert (pair.told(2), pair.told(2), pair.told(2)) == (b"on", b"et", b"wo")


PIECES = st.lists(st.binary(max_size=50) | st.just(bytes(20_000)), max_size=6)


@BOTH
@pytest.mark.parametrize("version", [tls.V12, tls.V13])
@settings(max_examples=25)
@given(
    data=PIECES,
    cuts=st.lists(st.integers(1, 300), min_size=1, max_size=5),
    sizes=st.lists(st.integers(1, 20_000), min_size=1, max_size=5),
)
def test_whatever_the_cuts_the_bytes_are_the_bytes(
    server: bool, version: ssl.TLSVersion, data: list[bytes], cuts: list[int], sizes: list[int]
) -> None:
    """Read only when the end says so, with buffers of these sizes, to the end."""
    with Loop() as loop:
        loop.later(kit.WAIT, kit.too_late)
        pair = Pair(loop, server=server, version=version, capacity=2**20).shake_hands()
        encrypted = b"".join(map(pair.peer.sealed, filter(None, data))) + pair.peer.close_notify()
        left, cut, size = memoryview(encrypted), cycle(cuts), cycle(sizes)
        got, least = bytearray(), len(encrypted) // 1000  # a thousand reads are enough

        def send() -> bool:
            nonlocal left
            place = max(next(cut), len(encrypted) // 40)
            pair.there.write(left[:place])
            left = left[place:]
            return not left

        def read() -> None:
            piece = b""
            with contextlib.suppress(BlockingIOError):
                if not (piece := pair.read(max(next(size), least))):
                    loop.stop()
            got.extend(piece)

        kit.do(loop, send)
        pair.end.when_readable(read)
        loop.run()
    assert got == b"".join(data)


# Writing, and what waits.


@BOTH
def test_undelivered_is_of_what_was_written_alone(server: bool, loop: Loop) -> None:
    pair = Pair(loop, server=server).shake_hands()
    assert pair.end.undelivered() == 0  # whatever of the handshake is on its way
    pair.end.write(b"x")
    assert pair.end.queued() > pair.end.undelivered() == 1
    assert pair.end.undelivered(pair.end.queued()) == 1
    before = pair.end.queued()
    pair.end.half_close()
    assert (pair.end.queued() > before, pair.end.undelivered()) == (True, 1)
    assert pair.heard() == b"x"
    assert (pair.end.queued(), pair.end.undelivered()) == (0, 0)


def test_close_notify_that_waits_is_not_undelivered(pair: Pair) -> None:
    pair.end.write(b"x")
    pair.heard()
    pair.end.half_close()
    assert pair.end.queued() > 0
    assert pair.end.undelivered() == 0


def test_what_could_not_be_written_later_is_told_by_the_next_write(loop: Loop) -> None:
    pair = Pair(loop, capacity=CAPACITY).shake_hands()
    pair.fill()
    pair.there.abort()
    turn(loop)
    for words in ("connection reset", "the peer has closed"):
        with pytest.raises(SendError, match=words):
            pair.end.write(b"x")


def test_what_could_not_be_written_later_is_told_by_asking(loop: Loop) -> None:
    pair = Pair(loop, capacity=CAPACITY).shake_hands()
    pair.fill()
    pair.there.abort()
    turn(loop)
    assert isinstance(pair.end.failure(), SendError)
    assert pair.end.failure() is None


# A peer that asks for answers and reads none.


class Keys:
    """Makes records of a peer whose first secret `path` has, SSLKEYLOGFILE: RFC 8446, section 7."""

    def __init__(self, path: Path, label: str) -> None:
        lines = [line.split() for line in path.read_text().splitlines()]
        self._secret = next(bytes.fromhex(line[2]) for line in lines if line[0] == label)
        self._number = 0

    def _expand(self, label: bytes, size: int) -> bytes:
        info = struct.pack(">HB", size, 6 + len(label)) + b"tls13 " + label + b"\0"
        return HKDFExpand(SHA384(), size, info).derive(self._secret)

    def sealed(self, data: bytes, kind: int = DATA) -> bytes:
        nonce = int.from_bytes(self._expand(b"iv", 12), "big") ^ self._number
        self._number += 1
        header = struct.pack(">BHH", DATA, 0x0303, len(data) + 17)
        cipher = AESGCM(self._expand(b"key", 32))
        return header + cipher.encrypt(nonce.to_bytes(12, "big"), data + bytes([kind]), header)

    def update(self) -> bytes:
        record = self.sealed(ASK_FOR_NEW_KEYS, HANDSHAKE)
        self._secret, self._number = self._expand(b"traffic upd", 48), 0
        return record


class Asking(Pair):
    """A peer that asks for new keys, and may do so without reading the answers."""

    def __init__(self, loop: Loop, path: Path, *, server: bool = False) -> None:
        ours, theirs = tls.contexts(server=server)
        theirs.keylog_filename = str(path)
        super().__init__(loop, server=server, capacity=CAPACITY, contexts=(ours, theirs))
        self.shake_hands()
        theirs.keylog_filename = None  # which closes the file
        self.keys = Keys(path, f"{'CLIENT' if server else 'SERVER'}_TRAFFIC_SECRET_0")
        self.calls = 0

    def flood(self) -> None:
        """Ask until it is not read any more."""
        for _ in range(1000):
            self.say(self.keys.update())
            self.look()
            if self.there.queued():
                return
        raise AssertionError("it reads without end")

    def look(self) -> None:
        self.calls += 1
        with contextlib.suppress(BlockingIOError):
            assert self.read() == b""


@BOTH
@pytest.mark.parametrize("writes", [False, True])
def test_a_peer_that_asks_and_does_not_read_is_read_no_more(
    writes: bool, server: bool, loop: Loop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls_outbox, "MAX_WAITING_BYTES", BACKLOG)
    asking = Asking(loop, tmp_path / "keys", server=server)
    asking.flood()
    assert CAPACITY + BACKLOG < asking.end.queued() < CAPACITY + BACKLOG + 100
    asking.calls = 0
    asking.end.when_readable(asking.look)
    turn(loop)
    assert asking.calls <= 1  # it may look once
    asking.end.when_readable(None)
    asking.heard()
    if writes:  # and so writes what waited, before the loop does
        assert asking.end.write(b"y") == 1
    asking.say(asking.keys.sealed(b"x"))
    assert asking.told() == b"x"
    assert asking.gather(lambda: asking.end.queued() == 0) == (b"y" if writes else b"")


def test_a_peer_that_asks_while_it_is_watched_costs_no_processor(
    loop: Loop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls_outbox, "MAX_WAITING_BYTES", BACKLOG)
    asking = Asking(loop, tmp_path / "keys")
    asking.end.when_readable(asking.look)
    asking.flood()
    asking.calls = 0
    turn(loop)
    assert asking.calls <= 1


def test_a_peer_that_asks_and_resets_is_not_waited_for(
    loop: Loop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls_outbox, "MAX_WAITING_BYTES", BACKLOG)
    asking = Asking(loop, tmp_path / "keys")
    asking.flood()
    asking.there.abort()
    with pytest.raises(ReceiveError):
        asking.told()


def test_an_answer_leaves_although_data_came_with_the_question(loop: Loop, tmp_path: Path) -> None:
    asking = Asking(loop, tmp_path / "keys")
    asking.heard()
    # OpenSSL answers when the next question comes, or when data is written.
    asking.say(asking.keys.update() + asking.keys.update() + asking.keys.sealed(b"x"))
    assert asking.told() == b"x"
    assert asking.there.has_bytes()
    assert asking.heard() == b""
    assert asking.end.queued() == 0


# The close.


@pytest.mark.parametrize("where", ["below", "encrypted", "decrypted"])
def test_a_close_resets_wherever_bytes_are_unread(where: str, pair: Pair) -> None:
    pair.say(pair.peer.sealed(b"read") + pair.peer.sealed(b"not"))
    if where != "below":
        assert pair.read(4 if where == "encrypted" else 5)[:4] == b"read"
    pair.end.close()
    with pytest.raises(ReceiveError, match="reset"):
        pair.there.read_into(memoryview(bytearray(9)))


def test_close_notify_that_nobody_has_read_is_no_byte_unread(pair: Pair) -> None:
    pair.end.write(b"answer")
    pair.say(pair.peer.close_notify())
    pair.end.close()
    assert pair.heard() == b"answer"
    assert at_end(pair.there)


def test_a_closed_end_writes_on_for_a_bounded_time(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = kit.Clock(loop, monkeypatch)
    pair = Pair(loop, capacity=CAPACITY).shake_hands()
    pair.fill()
    pair.end.close()
    for seconds, closed in [(tls_outbox.MAX_CLOSE_SECONDS - 0.1, False), (0.2, True)]:
        clock.passes(seconds)
        turn(loop)
        assert pair.near.closed is closed
        assert pair.near.watched is not closed


def test_a_closed_end_is_done_as_soon_as_all_is_written(loop: Loop) -> None:
    pair = Pair(loop, capacity=CAPACITY).shake_hands()
    size = pair.fill()
    pair.end.close()
    assert not pair.near.closed
    assert len(pair.gather(lambda: pair.near.closed)) == size
    assert at_end(pair.there)


def test_an_end_whose_peer_has_reset_is_closed_at_once(loop: Loop) -> None:
    """Although bytes wait: they can never be written."""
    pair = Pair(loop, capacity=CAPACITY).shake_hands()
    pair.fill()
    pair.there.abort()
    with pytest.raises(ReceiveError):
        pair.read()
    pair.end.close()
    assert pair.near.closed
    assert not pair.near.watched


def test_a_closed_end_whose_peer_resets_is_done(loop: Loop) -> None:
    pair = Pair(loop, capacity=CAPACITY).shake_hands()
    pair.fill()
    pair.end.close()
    pair.there.abort()
    turn(loop)
    assert pair.near.closed


@pytest.mark.parametrize("ends", ["close", "abort", "truncated", "broken", "reset", "failed write"])
def test_a_closed_end_keeps_nothing_of_openssl(ends: str, loop: Loop) -> None:
    """Although the end and its errors are kept, and before the garbage collector looks."""
    pair = Pair(loop, capacity=CAPACITY).shake_hands()
    errors = []
    if ends == "truncated":
        pair.there.half_close()
    elif ends == "broken":
        pair.say(flipped(pair.peer.sealed(b"bad")))
    elif ends == "failed write":
        pair.fill()
    if ends in ("reset", "failed write"):
        pair.there.abort()
        turn(loop)
    if ends not in ("close", "abort"):
        with pytest.raises((ReceiveError, SendError)) as caught:
            pair.end.write(b"x") if ends == "failed write" else pair.read()
        errors.append(caught.value)
    held = weakref.ref(pair.end.tls)
    gc.disable()
    try:
        pair.end.abort() if ends == "abort" else pair.end.close()
        assert held() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("ends", ["close", "abort"])
def test_a_closed_end_keeps_nothing_that_nobody_has_read(ends: str, loop: Loop) -> None:
    pair = Pair(loop).shake_hands()
    pair.say(pair.peer.sealed(b"x" * 10_000))
    assert pair.end.has_bytes()
    pair.end.abort() if ends == "abort" else pair.end.close()
    assert pair.near.closed
    assert not pair.end._plain


# The handshake.


def test_a_handshake_that_fails_sends_the_alert(loop: Loop) -> None:
    ours, theirs = tls.contexts(server=True)
    ours.minimum_version = tls.V13
    pair = Pair(loop, version=tls.V12, server=True, contexts=(ours, theirs))
    with pytest.raises(ssl.SSLError, match=r"(?i)unsupported protocol"):
        pair.shake_hands()
    pair.peer.step(read_all(pair.there))
    assert "ALERT_PROTOCOL_VERSION" in str(pair.peer.error)


@pytest.mark.parametrize("nth", [1, 2])
def test_a_handshake_whose_peer_has_gone_fails(nth: int, loop: Loop) -> None:
    pair = Pair(loop)
    with pytest.raises(BlockingIOError):
        pair.end.handshake()
    if nth == 2:
        pair.say(pair.peer.step(read_all(pair.there))[:100])
    pair.there.close()
    with contextlib.suppress(BlockingIOError, ReceiveError):
        pair.end.handshake()  # one piece each time
    with pytest.raises(ssl.SSLEOFError):
        pair.end.handshake()
