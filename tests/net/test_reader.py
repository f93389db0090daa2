"""The receiver that hands what comes to a message handler."""

from __future__ import annotations

import errno
import functools

import pytest

from sockkit.core.ending import EndOptions
from sockkit.errors import ReceiveError
from sockkit.net import reader as module
from sockkit.net.coalesce import BURST_RECEIVES, PAUSE_SECONDS
from sockkit.net.connection import Direction, Stage
from tests.net import kit
from tests.net import site as sites
from tests.net.kit import Cut, Failing
from tests.net.site import BUFFER, CAPACITY, Make

loop, site = kit.loop, sites.site


def test_it_hands_on_what_comes_as_it_comes(site: Make) -> None:
    at = site()
    at.peer_writes(b"one")
    at.peer_writes(b"two")
    assert at.got == b"onetwo"
    assert at.told == ["received", "received"]
    assert at.reader.bytes_read == at.reader.bytes_written == at.connection.bytes_received == 6


def test_a_read_takes_no_more_than_the_buffer(site: Make) -> None:
    at = site()
    pieces: list[int] = []
    at.does["received"] = lambda: pieces.append(len(at.got) - sum(pieces))
    data = kit.noise(CAPACITY)
    at.peer_writes(data)
    assert pieces == [BUFFER, CAPACITY - BUFFER]
    assert at.got == data


def test_who_wants_no_more_holds_the_peer_back(site: Make) -> None:
    at = site()

    def stop_wanting() -> None:
        at.wants = False

    at.does["received"] = stop_wanting
    at.peer_writes(b"first")
    at.peer_writes(b"second")
    at.turn()
    assert at.got == b"first"
    assert not at.near.watched  # so the loop does not turn for nothing
    at.wants = True
    at.turn()
    assert at.got == b"first"  # it reads on when it is told to, and then all that waits
    at.reader.resume()
    at.turn()
    assert at.got == b"firstsecond"


def test_who_wants_nothing_from_the_start_is_not_read(site: Make) -> None:
    at = site()
    at.wants = False
    at.reader.resume()
    at.peer_writes(b"x")
    assert at.got == b""
    assert not at.near.watched
    at.wants = True
    at.reader.resume()
    at.reader.resume()
    at.turn()
    assert at.got == b"x"


def test_an_end_behind_bytes_that_are_not_wanted_waits_too(site: Make) -> None:
    at = site()
    at.wants = False
    at.reader.resume()
    at.peer_writes(b"last")
    at.peer.half_close()
    at.turn()
    assert at.told == []
    at.wants = True
    at.reader.resume()
    at.turn()
    assert at.told == ["received", "peer_ended"]


def test_the_end_is_told_once_and_not_looked_at_again(site: Make) -> None:
    at = site()
    at.peer_writes(b"bye")
    at.peer.half_close()
    at.turn()
    assert at.told == ["received", "peer_ended"]
    assert at.connection.receiving is Direction.ENDED
    assert not at.near.watched
    at.reader.resume()
    at.turn()
    assert at.told == ["received", "peer_ended"]
    assert not at.near.watched


def test_an_error_closes_the_connection_with_it(site: Make) -> None:
    at = site()
    at.peer_writes(b"some")
    at.peer.abort()
    at.turn()
    assert at.told == ["received", "closed"]
    assert at.connection.receiving is Direction.FAILED
    assert isinstance(at.result.error, ReceiveError)
    assert "there:1" in str(at.result.error)
    assert at.result.error.__traceback__ is None


@pytest.mark.parametrize("nth", [1, 2, 3])
def test_the_read_that_fails_is_the_last(nth: int, site: Make) -> None:
    at = site(wrap=functools.partial(Failing, name="read", nth=nth, code=errno.ETIMEDOUT))
    for _ in range(4):
        if not at.is_closed:
            at.peer_writes(b"ab")
    assert at.got == b"ab" * (nth - 1)
    assert isinstance(at.result.error, ReceiveError)
    assert at.result.error.__cause__.errno == errno.ETIMEDOUT


def test_what_comes_cut_and_refused_is_handed_on_whole(site: Make) -> None:
    at = site(wrap=functools.partial(Cut, seed=3))
    data = kit.noise(CAPACITY)
    at.peer.write(data)
    for _ in range(CAPACITY):  # tiny pieces are read with pauses
        at.passes(PAUSE_SECONDS)
    assert at.got == data


@pytest.mark.parametrize("how", ["stop", "finish"])
def test_it_may_be_stopped_by_what_it_hands_on(how: str, site: Make) -> None:
    at = site()
    at.does["received"] = getattr(at.reader, how)
    at.peer_writes(kit.noise(CAPACITY))
    at.passes(10 * PAUSE_SECONDS)
    assert len(at.got) == BUFFER
    assert at.told == ["received"] + ["peer_ended"] * (how == "finish")
    assert not at.near.watched
    at.reader.resume()
    at.turn()
    assert len(at.got) == BUFFER


def test_what_is_received_ends_a_silence(site: Make) -> None:
    at = site(EndOptions(idle=2.0))
    for _ in range(5):
        at.passes(1.5)
        at.peer_writes(b"x")
    assert at.overs == []


# Coalescing; when it is due is in test_coalesce.py.


def tiny_pieces(at: sites.Site, count: int) -> None:
    for _ in range(count):
        at.peer_writes(b"x")
        at.clock.passes(PAUSE_SECONDS / 10)


def test_tiny_pieces_are_read_less_often(site: Make) -> None:
    at = site()
    tiny_pieces(at, BURST_RECEIVES + 2)
    received = len(at.got)
    assert received < BURST_RECEIVES + 2
    assert not at.near.watched
    at.passes(PAUSE_SECONDS)
    assert len(at.got) == BURST_RECEIVES + 2
    assert at.told[-1] == "received"
    assert len(at.told) == received + 1  # those that gathered came as one


def test_it_does_not_rest_where_the_peer_is_answered(site: Make) -> None:
    """It may be waiting for that before it sends more: so it is tried, and left."""
    at = site()
    at.does["received"] = lambda: at.connection.send(b"y")
    for _ in range(BURST_RECEIVES * 4):
        at.peer_writes(b"x")
        at.passes(PAUSE_SECONDS)
        assert sites.read_all(at.peer)
    before = len(at.got)
    assert before == BURST_RECEIVES * 4
    for count in (1, 2, 3):  # without any time between them
        at.peer_writes(b"x")
        assert len(at.got) == before + count


def test_a_rest_that_ends_after_a_stop_reads_no_more(
    site: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    kit.coalesces(monkeypatch, module)
    at = site()
    at.peer_writes(b"one")
    at.peer_writes(b"two")
    assert at.got == b"one"
    at.reader.stop()
    at.passes(1.0)
    assert at.got == b"one"
    assert not at.near.watched


def test_a_resume_does_not_end_a_rest(site: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    kit.coalesces(monkeypatch, module)
    at = site()
    at.peer_writes(b"one")
    at.peer_writes(b"two")
    at.reader.resume()
    at.turn()
    assert at.got == b"one"
    at.passes(0.2)
    assert at.got == b"onetwo"


def test_a_rest_that_ends_while_no_more_is_wanted_waits_for_that(
    site: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    kit.coalesces(monkeypatch, module)
    at = site()
    at.peer_writes(b"one")
    at.wants = False
    at.peer_writes(b"two")
    at.passes(1.0)
    assert at.got == b"one"
    at.wants = True
    at.reader.resume()
    at.turn()
    assert at.got == b"onetwo"


def test_finish_reads_no_more_and_closes_a_connection_that_finishes(site: Make) -> None:
    at = site()
    at.peer.write(b"unread")
    at.connection.finish()
    assert at.connection.stage in (Stage.CLOSING, Stage.CLOSED)
    at.closes()
    assert at.got == b""
    assert "peer_ended" not in at.told
