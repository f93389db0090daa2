"""How much of what is read OpenSSL holds. How a direction ends is in test_tls_end.py."""

from __future__ import annotations

import ssl

import pytest

from sockkit.errors import SockkitError
from sockkit.net.ends.memory import MemoryEnd, memory_pair
from sockkit.net.ends.tls_inbox import MAX_FED_BYTES, Receiving, TlsInbox
from sockkit.net.loop import Loop
from tests.net import kit, tls

loop = kit.loop

SIZE = 80 * 1024  # of what is read at once: several records


class Fed:
    """The BIO of `near`, which notes the most that it has held."""

    def __init__(self, bio: ssl.MemoryBIO) -> None:
        self._bio, self.write_eof = bio, bio.write_eof
        self.most = 0

    def write(self, data: memoryview) -> None:
        self._bio.write(data)
        self.most = max(self.most, self.pending)

    @property
    def pending(self) -> int:
        return self._bio.pending


class Site:
    """An inbox, and its peer, which writes to `there`."""

    def __init__(self, loop: Loop) -> None:
        ours, theirs = tls.contexts(server=True)
        self.near, self.peer = tls.InHand(ours, server=True), tls.InHand(theirs)
        tls.shake_hands(self.peer, self.near)
        self.fed = Fed(self.near.incoming)
        here: MemoryEnd
        here, self.there = memory_pair(loop, capacity=30 * SIZE)
        self.inbox = TlsInbox(here, self.fed)  # type: ignore[arg-type]

    def decrypt(self, size: int) -> bytes:
        buffer = memoryview(bytearray(size))
        return bytes(buffer[: self.inbox.decrypt(self.near.tls, buffer)])


@pytest.fixture
def site(loop: Loop) -> Site:
    return Site(loop)


@pytest.mark.parametrize("piece", [1, 1000, SIZE])
def test_openssl_holds_little_however_much_is_read(piece: int, site: Site) -> None:
    for _ in range(SIZE // piece):
        site.there.write(site.peer.sealed(bytes(piece)))
    got = 0
    while site.there.queued() or site.inbox.state is Receiving.OPEN:
        if site.inbox.state is Receiving.DRAINED:
            site.inbox.fill(SIZE)
        got += len(site.decrypt(SIZE))
    assert got == SIZE // piece * piece
    assert site.fed.most <= MAX_FED_BYTES


def test_what_is_not_decrypted_yet_is_safe_from_what_others_read(site: Site, loop: Loop) -> None:
    other, size = Site(loop), SIZE - 1000
    for each, text in ((site, b"1"), (other, b"2")):
        each.there.write(each.peer.sealed(text * size))
        each.inbox.fill(SIZE)
        assert each.decrypt(10) == text * 10
    assert site.decrypt(SIZE) == b"1" * (size - 10)
    assert other.decrypt(SIZE) == b"2" * (size - 10)


def test_what_has_broken_it_is_told_once(site: Site) -> None:
    site.there.write(b"no TLS at all")
    site.inbox.fill()
    assert (site.decrypt(9), site.inbox.state) == (b"", Receiving.BROKEN)
    error = site.inbox.take_error()
    assert isinstance(error, ssl.SSLError)
    assert (site.inbox.take_error(), site.inbox.state) == (None, Receiving.ENDED)


def test_a_reset_ends_it(site: Site) -> None:
    site.there.abort()
    with pytest.raises(SockkitError):
        site.inbox.fill()
    assert (site.inbox.over, site.inbox.state) == (True, Receiving.RESET)
