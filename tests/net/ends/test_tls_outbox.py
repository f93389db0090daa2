"""What waits for the end below. What its users see of that is in test_tls_end.py."""

from __future__ import annotations

import ssl
import weakref

import pytest

from sockkit.errors import SockkitError
from sockkit.net.ends import tls_outbox as module
from sockkit.net.ends.memory import memory_pair
from sockkit.net.ends.tls_outbox import MAX_WRITE_BYTES, RECORD_BYTES, Sending, TlsOutbox
from sockkit.net.loop import Loop
from tests.net import kit, tls
from tests.net.site import read_all, turn

loop = kit.loop

CAPACITY = 50_000  # bytes that the end below accepts


class Emptied:
    """The BIO of `near`, which notes the most that it has held."""

    def __init__(self, bio: ssl.MemoryBIO) -> None:
        self._bio, self.write = bio, bio.write
        self.most = 0

    def read(self) -> bytes:
        self.most = max(self.most, self.pending)
        return self._bio.read()

    @property
    def pending(self) -> int:
        return self._bio.pending


class Site:
    """An outbox, whose peer reads `there`; `empty` counts how often it was told to be empty."""

    def __init__(self, loop: Loop) -> None:
        ours, theirs = tls.contexts(server=True)
        self.near, self.peer = tls.InHand(ours, server=True), tls.InHand(theirs)
        tls.shake_hands(self.peer, self.near)
        self.bio = Emptied(self.near.outgoing)
        self.here, self.there = memory_pair(loop, capacity=CAPACITY)
        self.loop, self.empty = loop, 0
        self.outbox = TlsOutbox(loop, self.here, self.bio, self._emptied)  # type: ignore[arg-type]

    def _emptied(self) -> None:
        self.empty += 1

    def write(self, data: bytes) -> int:
        return self.outbox.write(self.near.tls, data)

    def heard(self) -> bytes:
        got = bytearray()
        while piece := read_all(self.there):
            got += self.peer.opened(piece)
            turn(self.loop)
        return bytes(got)


@pytest.fixture
def site(loop: Loop) -> Site:
    return Site(loop)


@pytest.mark.parametrize("size", [1, RECORD_BYTES, 2 * RECORD_BYTES + 1, MAX_WRITE_BYTES])
def test_openssl_holds_one_record_at_most(size: int, site: Site) -> None:
    data = bytes(range(256)) * (size // 256 + 1)
    assert site.write(data[:size]) == size
    assert site.heard() == data[:size]
    assert site.bio.most <= RECORD_BYTES + 100


def test_a_write_encrypts_some_of_much(site: Site) -> None:
    assert site.write(bytes(2 * MAX_WRITE_BYTES)) == MAX_WRITE_BYTES


def test_what_is_written_is_kept_no_longer(site: Site) -> None:
    """Neither the encrypted bytes, nor an empty part of them, which would keep them all."""
    site.write(bytes(MAX_WRITE_BYTES))
    assert len(site.outbox._waiting.obj) > MAX_WRITE_BYTES
    site.heard()
    assert len(site.outbox._waiting.obj) == 0


def test_it_tells_once_that_nothing_waits(site: Site) -> None:
    site.write(b"x")
    assert (site.outbox.state, site.empty) == (Sending.EMPTY, 0)
    site.write(bytes(CAPACITY))
    assert (site.outbox.state, site.empty) == (Sending.WAITING, 0)
    site.heard()
    assert (site.outbox.state, site.empty) == (Sending.EMPTY, 1)
    assert not site.here.watched


def test_one_that_was_full_is_so_until_it_is_empty(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_WAITING_BYTES", 100)
    assert site.outbox.check_full() is Sending.EMPTY
    site.write(bytes(CAPACITY + 1000))
    assert site.outbox.state is Sending.WAITING
    assert site.outbox.check_full() is Sending.FULL
    site.peer.opened(read_all(site.there)[:1000])
    site.outbox.flush()
    assert site.outbox.state is Sending.EMPTY


def test_a_failure_that_nobody_waited_for_is_kept_until_it_is_asked_for(site: Site) -> None:
    site.write(bytes(CAPACITY))
    site.there.abort()
    turn(site.loop)
    assert (site.outbox.state, site.empty) == (Sending.EMPTY, 1)
    failure = site.outbox.take_failure()
    assert failure
    assert "reset" in str(failure)
    assert site.outbox.take_failure() is None


def test_a_failure_that_was_raised_is_kept_by_nobody(site: Site) -> None:
    def flush() -> weakref.ref[SockkitError]:
        try:
            site.outbox.flush()
        except SockkitError as error:
            return weakref.ref(error)
        raise AssertionError("it was not told")

    site.write(bytes(CAPACITY))
    site.there.abort()
    turn(site.loop)
    with kit.no_collection():
        assert flush()() is None


@pytest.mark.parametrize("waits", [False, True])
def test_it_finishes_when_all_is_written(waits: bool, site: Site) -> None:
    site.write(bytes(CAPACITY if waits else 1))
    site.outbox.finish()
    assert site.here.closed is not waits
    site.heard()
    assert site.here.closed
    assert not site.here.watched
