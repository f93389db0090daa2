"""Streams stay what they are under faults: the bytes, in order; only late, cut, or ended early."""

from __future__ import annotations

from math import sqrt
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockkit.core.faults import BURST_SECONDS, Fault, FaultOptions, Held
from sockkit.core.stream_faults import (
    MAX_HELD_BYTES,
    MAX_HELD_BYTES_OF_ALL,
    MIN_HELD_BYTES,
    PIECE_BYTES,
    RATE_PIECE_SECONDS,
    StreamFaults,
    refuses,
)


class Passed(NamedTuple):
    when: float
    data: bytes


def disturb(options: FaultOptions, seed: str = "1 1 sent", held: Held | None = None) -> Any:
    return StreamFaults(options, seed, held or Held())


def passed(faults: StreamFaults, most: int = 100_000) -> list[Passed]:
    """All that comes of what was fed, taken when it is due; nothing stands for the end."""
    got: list[Passed] = []
    while faults.due is not None and (not got or got[-1].data):
        when = faults.due
        got.append(Passed(when, faults.take(most, when)))
    return got


def joined(pieces: list[Passed]) -> bytes:
    return b"".join(piece.data for piece in pieces)


seconds = st.sampled_from([0.0, 0.05, 1.0])
sizes = st.none() | st.integers(1, 400)
options_of_any = st.builds(
    FaultOptions, delay=seconds, jitter=seconds, rate=sizes, chunk=sizes, stall_at=sizes,
    reset_at=sizes, close_at=sizes,
)  # fmt: skip
feeds = st.lists(st.tuples(st.floats(0, 2), st.binary(min_size=1, max_size=60)), max_size=12)


@given(options_of_any, feeds, st.integers(1, 70))
def test_pieces_are_the_bytes_in_order(
    options: FaultOptions, feeds: list[tuple[float, bytes]], most: int
) -> None:
    faults, now = disturb(options), 0.0
    data = b""
    for pause, piece in feeds:
        now += pause
        wanted = piece[: faults.room]
        if wanted:
            faults.feed(wanted, now)
        data += piece
    if not faults.stop and faults.room:
        faults.feed(b"", now)
    pieces = passed(faults, most)
    stops = [at for at in (options.stall_at, options.reset_at, options.close_at) if at]
    assert joined(pieces) == data[: min(stops, default=len(data))]
    assert faults.passed == len(joined(pieces))
    assert [piece.when for piece in pieces] == sorted(piece.when for piece in pieces)
    assert all(len(piece.data) <= min(options.chunk or most, most) for piece in pieces)
    reached = bool(stops) and faults.passed == min(stops)
    assert bool(faults.stop) is reached
    assert faults.at_end is not reached


@given(options_of_any, feeds)
def test_nothing_is_held_once_all_has_passed(
    options: FaultOptions, feeds: list[tuple[float, bytes]]
) -> None:
    held = Held()
    faults = disturb(options, held=held)
    for pause, piece in feeds:
        if wanted := piece[: faults.room]:
            faults.feed(wanted, pause)
            assert held.size == faults.held >= len(wanted)
            passed(faults)
    assert held.size == faults.held == 0
    assert faults.due is None


@given(feeds, st.integers(1, 50))
def test_the_same_seed_makes_the_same_run_however_it_is_cut(
    feeds: list[tuple[float, bytes]], most: int
) -> None:
    options = FaultOptions(delay=1.0, jitter=0.5, chunk=7)
    whole = b"".join(data for _, data in feeds)
    one, other = disturb(options), disturb(options)
    for at in range(0, len(whole), 7):
        one.feed(whole[at : at + 7], 0.0)
    if whole:
        other.feed(whole, 0.0)
    assert passed(one) == passed(other)


def test_another_seed_connection_or_direction_makes_another_run() -> None:
    runs = []
    for seed in ("1 1 sent", "2 1 sent", "1 2 sent", "1 1 received"):
        faults = disturb(FaultOptions(delay=1.0, jitter=1.0), seed)
        faults.feed(b"x", 0.0)
        runs.append(faults.due)
    assert len(set(runs)) == 4


def test_a_delay_is_exact_and_the_end_is_as_late() -> None:
    faults = disturb(FaultOptions(delay=0.2))
    faults.feed(b"hello", 10.0)
    faults.feed(b"", 11.0)
    assert passed(faults) == [(10.2, b"hello"), (11.2, b"")]
    assert faults.at_end
    assert faults.take(10, 12.0) == b""  # and it stays at its end


def test_jitter_is_even_around_the_delay() -> None:
    late = []
    for number in range(2000):
        faults = disturb(FaultOptions(delay=0.2, jitter=0.05), f"1 {number} sent")
        faults.feed(b"x", 0.0)
        late.append(faults.due)
    assert 0.15 <= min(late) < max(late) <= 0.25
    deviation = 0.05 / sqrt(3)  # of an even choice
    assert sum(late) / 2000 == pytest.approx(0.2, abs=3 * deviation / sqrt(2000))


def test_jitter_does_not_reorder_and_makes_nothing_early() -> None:
    faults = disturb(FaultOptions(jitter=0.5))
    for number in range(100):
        faults.feed(bytes([number]), 1000 + number)
    pieces = passed(faults)
    assert joined(pieces) == bytes(range(100))
    late = [piece.when - 1000 - number for number, piece in enumerate(pieces)]
    assert min(late) == 0.0
    assert max(late) <= 0.5
    assert len(set(late)) > 30  # each piece has its own


def test_bytes_beyond_a_stop_do_not_pass() -> None:
    held = Held()
    faults = disturb(FaultOptions(close_at=5), held=held)
    faults.feed(b"0123456789", 0.0)
    assert joined(passed(faults)) == b"01234"
    assert faults.held == held.size == 0


@pytest.mark.parametrize("size", [1, 1000, 65_536, 655_360])
@pytest.mark.parametrize("delay", [0.0, 0.3])
@pytest.mark.parametrize("chunk", [None, 7, 100_000])
def test_a_rate_holds_for_short_and_long_transfers(
    size: int, delay: float, chunk: int | None
) -> None:
    faults = disturb(FaultOptions(rate=65_536, delay=delay, chunk=chunk))
    faults.feed(bytes(size), 5.0)
    pieces = passed(faults)
    assert pieces[-1].when == pytest.approx(5 + delay + size / 65_536)
    assert max(len(piece.data) for piece in pieces) <= 65_536 * RATE_PIECE_SECONDS


def test_a_rate_gathers_nothing_while_nothing_comes() -> None:
    faults = disturb(FaultOptions(rate=1000))
    faults.feed(bytes(100), 0.0)
    passed(faults)
    faults.feed(bytes(100), 60.0)
    assert passed(faults)[-1].when == pytest.approx(60.1)


def test_a_rate_makes_up_for_a_late_loop_but_not_for_a_full_sink() -> None:
    faults = disturb(FaultOptions(rate=1000))
    faults.feed(bytes(2000), 0.0)
    faults.take(100, faults.due + 0.03)
    assert passed(faults)[-1].when == pytest.approx(2.0)

    faults = disturb(FaultOptions(rate=1000))
    faults.feed(bytes(2000), 0.0)
    size = len(faults.take(100, 60.0))
    rest = passed(faults)
    assert rest[-1].when == pytest.approx(60 - BURST_SECONDS + (2000 - size) / 1000)


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"stall_at": 10}, Fault.STALLED),
        ({"reset_at": 10}, Fault.RESET),
        ({"close_at": 10}, Fault.CLOSED),
        ({"reset_at": 10, "close_at": 11, "stall_at": 12}, Fault.RESET),
        ({"reset_at": 12, "close_at": 10, "stall_at": 11}, Fault.CLOSED),
        ({"reset_at": 12, "close_at": 11, "stall_at": 10}, Fault.STALLED),
        ({"reset_at": 10, "close_at": 10, "stall_at": 10}, Fault.RESET),
    ],
)
def test_it_stops_after_exactly_so_many_bytes(options: dict[str, int], fault: Fault) -> None:
    faults = disturb(FaultOptions(**options))
    faults.feed(b"abcdef", 0.0)
    assert faults.room == 4
    faults.feed(b"ghij", 0.0)
    assert faults.room == 0
    assert faults.take(100, 0.0) == b"abcdef"
    assert faults.stop is None
    assert faults.take(100, 0.0) == b"ghij"
    assert faults.stop is fault
    assert (faults.due, faults.held, faults.passed) == (None, 0, 10)


def test_a_stall_can_still_fail() -> None:
    faults = disturb(FaultOptions(stall_at=1, delay=1.0))
    faults.feed(b"a", 0.0)
    faults.take(1, 1.0)
    faults.fail(7.0)
    assert faults.stop is None
    assert faults.at_end
    assert faults.due == pytest.approx(7.0)


@pytest.mark.parametrize(
    ("options", "most"),
    [
        ({"chunk": 1}, MIN_HELD_BYTES),
        ({"stall_at": 10**9}, MIN_HELD_BYTES),
        ({"rate": 10}, MIN_HELD_BYTES),
        ({"delay": 0.2}, MAX_HELD_BYTES),
        ({"rate": 2**30, "delay": 1.0}, MAX_HELD_BYTES),
    ],
)
def test_what_is_held_is_bounded(options: dict[str, Any], most: int) -> None:
    faults = disturb(FaultOptions(**options))
    while faults.room:
        faults.feed(bytes(min(faults.room, 65_536)), 0.0)
    assert most // 3 < faults.held <= most + PIECE_BYTES * (most // 65_536 + 1)


def test_single_bytes_count_for_what_they_cost() -> None:
    faults, fed = disturb(FaultOptions(chunk=1)), 0
    while faults.room:
        faults.feed(b"x", 0.0)
        fed += 1
    assert fed <= MIN_HELD_BYTES / PIECE_BYTES


def test_many_streams_hold_less_each() -> None:
    held = Held()
    held.size = MAX_HELD_BYTES_OF_ALL
    assert disturb(FaultOptions(delay=1.0), held=held).room == MIN_HELD_BYTES
    held.size -= 1
    assert disturb(FaultOptions(delay=1.0), held=held).room == MAX_HELD_BYTES


def test_a_rate_with_a_delay_never_waits_for_room() -> None:
    """What is held lasts for longer than what is read next is late."""
    rate, delay = 65_536, 0.5
    faults, now = disturb(FaultOptions(rate=rate, delay=delay)), 0.0
    taken = 0
    while taken < 5 * rate:
        while faults.room:
            faults.feed(bytes(min(faults.room, 65_536)), now)
        now = max(faults.due, now)
        taken += len(faults.take(100_000, now))
    assert now == pytest.approx(delay + taken / rate, rel=0.001)


@pytest.mark.parametrize("share", [0.1, 0.5])
@pytest.mark.parametrize("seed", range(3))
def test_a_share_of_connections_is_refused(share: float, seed: int) -> None:
    options, count = FaultOptions(refuse=share), 3000
    chosen = [refuses(options, seed, number) for number in range(1, count + 1)]
    deviation = sqrt(count * share * (1 - share))
    assert abs(sum(chosen) - count * share) <= 3 * deviation
    assert chosen == [refuses(options, seed, number) for number in range(1, count + 1)]


def test_none_or_all_are_refused() -> None:
    assert not any(refuses(FaultOptions(refuse=0.0), 1, number) for number in range(100))
    assert all(refuses(FaultOptions(refuse=1.0), 1, number) for number in range(100))
