from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from sockkit.core.progress import (
    LOOK_SECONDS,
    RATE_SECONDS,
    Counters,
    Meter,
    Progress,
    progress_line,
    progress_words,
)
from sockkit.events import Transferred

MB = 1_000_000
HALF = Progress(10.0, 50 * MB, 0, 50 * MB, 100 * MB, 5e6, 0.0, 5e6)


def test_a_file_has_a_bar_with_rate_and_time_left() -> None:
    assert progress_line(HALF, 80) == (
        " 50% [============>           ] 50.0 MB of 100 MB, 5.0 MB/s, 0:10 left"
    )
    assert progress_words(HALF) == "50%, 50.0 MB of 100 MB, 5.0 MB/s, 0:10 left"


def test_what_comes_back_is_counted_beside_the_bar_where_there_is_space() -> None:
    answered = HALF._replace(received=20 * MB, received_rate=2e6)
    more = ", received 20.0 MB at 2.0 MB/s"
    assert progress_line(answered, 80) == progress_line(HALF, 80)
    assert progress_line(answered, 120) == progress_line(HALF, 120) + more
    assert progress_words(answered) == progress_words(HALF) + more


def test_a_narrow_terminal_gets_the_figures_alone() -> None:
    assert progress_line(HALF, 57).endswith("] 50.0 MB of 100 MB, 5.0 MB/s, 0:10 left")
    assert progress_line(HALF, 56) == "50%, 50.0 MB of 100 MB, 5.0 MB/s, 0:10 left"
    assert progress_line(HALF, 44) == "50%, 50.0 MB of 100 MB, 5.0 MB/s, 0:10 left"
    assert progress_line(HALF, 43) == "50%, 5.0 MB/s, 0:10 left"
    assert progress_line(HALF, 10) == "50%, 5.0 "


def test_the_bar_stays_where_it_is_while_the_figures_change() -> None:
    lines = [
        progress_line(HALF._replace(read=read, read_rate=rate), 80)
        for read in (1, 999_999, 10 * MB, 100 * MB - 1)
        for rate in (0.0, 900.0, 9e9)
    ]
    assert {(line.index("["), line.index("]")) for line in lines} == {(5, 30)}
    assert lines[0].startswith("  0% [>  ")
    assert lines[-1].startswith(" 99% [=======================>] ")


def test_a_transfer_that_does_not_move_has_no_time_left() -> None:
    assert progress_words(HALF._replace(read_rate=0.0)) == "50%, 50.0 MB of 100 MB, stalled"
    ages = HALF._replace(read_rate=100.0)
    assert progress_words(ages) == "50%, 50.0 MB of 100 MB, 100 bytes/s"


@pytest.mark.parametrize("size", [0, 50 * MB, 40 * MB])
def test_without_a_size_and_once_all_is_read_it_counts(size: int) -> None:
    counted = HALF._replace(size=size, sent_rate=5e6, received=12 * MB, received_rate=3e5)
    line = "sent 50.0 MB at 5.0 MB/s, received 12.0 MB at 300 kB/s, 0:10"
    assert progress_line(counted, 80) == progress_words(counted) == line
    assert progress_line(counted, 60) == line.removesuffix(", 0:10")


def test_a_direction_without_bytes_and_a_rate_of_nothing_are_left_out() -> None:
    counted = HALF._replace(read=0, size=0, sent=999, sent_rate=200.0)
    assert progress_words(counted) == "sent 999 bytes, 0:10"
    counted = HALF._replace(read=0, size=0, sent_rate=0.9)
    assert progress_words(counted) == "sent 50.0 MB, 0:10"


def looked(meter: Meter, begin: float, seconds: float, rate: float, size: int = 0) -> Progress:
    """What it says after looks for so long, while a file of `size` bytes is sent at `rate`."""
    for number in range(1, round(seconds / LOOK_SECONDS) + 1):
        moved = int(number * LOOK_SECONDS * rate)
        meter.look(begin + number * LOOK_SECONDS, Counters(moved, 0, moved, size))
    return meter.progress()


def test_the_rate_is_that_of_the_last_seconds() -> None:
    meter = Meter(100.0, Counters(0, 0, 0, 10**9))
    progress = looked(meter, 100.0, 20, 1e6, 10**9)
    assert progress.read_rate == progress.sent_rate == pytest.approx(1e6, rel=0.01)
    last = Counters(20 * MB, 0, 20 * MB, 10**9)
    for number in range(1, round(RATE_SECONDS / LOOK_SECONDS) + 1):
        meter.look(120.0 + number * LOOK_SECONDS, last)
    assert meter.progress().read_rate == 0.0
    assert meter.progress().seconds == pytest.approx(25.0)


def test_the_clock_begins_with_the_first_byte() -> None:
    meter = Meter(0.0, Counters(0, 0))
    for number in range(1, 1000):
        meter.look(number * LOOK_SECONDS, Counters(0, 0))
        assert not meter.moving
    waited = 999 * LOOK_SECONDS
    meter.look(waited + 1.0, Counters(0, MB))
    assert meter.moving
    assert meter.progress().seconds == pytest.approx(1.0)
    assert meter.progress().received_rate == pytest.approx(MB)
    assert meter.total() == Transferred(0, MB, pytest.approx(1.0), 0, pytest.approx(1.0))


def test_the_time_of_a_direction_ends_with_its_last_byte() -> None:
    meter = Meter(0.0, Counters(0, 0))
    for now, moved in ((0.0, (0, 0)), (1.0, (5, 0)), (2.0, (6, 1)), (3.0, (6, 2)), (9.0, (6, 2))):
        meter.look(now, Counters(*moved))
    assert meter.total() == Transferred(6, 2, 9.0, 2.0, 3.0)


def test_what_was_read_of_the_file_before_is_not_ours() -> None:
    meter = Meter(0.0, Counters(0, 0, 60, 100))
    meter.look(1.0, Counters(10, 0, 70, 100))
    assert meter.progress()[3:5] == (10, 40)


@pytest.mark.parametrize(
    ("read", "size"), [(60, 100), (50, 100), (70, 65), (70, 0)], ids=["unread", "", "cut", "proc"]
)
def test_a_file_that_is_not_read_or_is_shorter_than_that_has_no_bar(read: int, size: int) -> None:
    meter = Meter(0.0, Counters(0, 0, 60, 100))
    meter.look(1.0, Counters(10, 0, read, size))
    assert meter.progress()[3:5] == (0, 0)


def test_counters_that_begin_anew_have_no_rate_below_nothing() -> None:
    """A UDP client begins anew at the next address."""
    meter = Meter(0.0, Counters(500, 0))
    meter.look(1.0, Counters(20, 0))
    assert meter.progress().sent_rate == 0


sizes = some.integers(0, 2**63)
rates = some.floats(0, 1e15)


@given(
    progress=some.builds(
        Progress, some.floats(0, 1e9), sizes, sizes, sizes, sizes, rates, rates, rates
    ),
    columns=some.integers(1, 300),
)
def test_a_line_always_fits(progress: Progress, columns: int) -> None:
    line = progress_line(progress, columns)
    assert len(line) < columns
    assert (line + progress_words(progress)).isprintable()
    assert progress_words(progress)
