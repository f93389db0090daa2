"""Standard input as datagrams, and what is kept to be sent again."""

from __future__ import annotations

import pytest

from sockkit.errors import SendError, TextError
from sockkit.net.udp import sender as module
from sockkit.net.udp.datagrams import MAX_PAYLOAD_BYTES
from sockkit.net.udp.sender import HOLD_SECONDS, FirstDatagrams, Total
from tests.net import kit
from tests.net.kit import noise, run_for
from tests.net.udp import site
from tests.net.udp.site import Make

loop, stack, make = kit.loop, kit.stack, site.make


def test_input_is_cut(make: Make) -> None:
    made = make(buffer_size=1000)
    data = noise(2500)
    made.input.far.give(data)
    made.input.far.close()
    assert made.arrive(3) == [data[:1000], data[1000:2000], data[2000:]]
    assert made.ended == 1


def test_input_without_a_size_is_sent_as_it_comes(make: Make) -> None:
    made = make()
    for data in (b"a", noise(5000)):
        made.input.far.give(data)
        run_for(made.loop, HOLD_SECONDS / 5)
        assert made.sent.size >= len(data)
        assert made.arrive(1) == [data]


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a datagram wait for more input for so long that a slow machine gives it in time."""
    monkeypatch.setattr(module, "HOLD_SECONDS", 0.5)


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("size", [MAX_PAYLOAD_BYTES, 100_000])
def test_no_datagram_is_larger_than_there_are(size: int, make: Make) -> None:
    made = make(buffer_size=size)
    data = noise(MAX_PAYLOAD_BYTES + 10)
    feeding = kit.Feeding(made.input.far, data)
    assert made.arrive(2) == [data[:MAX_PAYLOAD_BYTES], data[MAX_PAYLOAD_BYTES:]]
    feeding.join()


@pytest.mark.usefixtures("patient")
def test_what_is_not_full_waits_a_moment(make: Make) -> None:
    made = make(buffer_size=1000)
    data = noise(2000)
    made.input.far.give(data[:700])
    run_for(made.loop, 0.002)
    made.input.far.give(data[700:])
    assert made.arrive(2) == [data[:1000], data[1000:]]
    made.input.far.give(b"rest")
    assert made.arrive(1) == [b"rest"]
    assert made.sent.count == 3


def test_lines_are_packed_and_what_cannot_be_is_told(make: Make) -> None:
    made = make(packs=True, hello=b"first", good_bye=b"last")
    made.input.far.give(b"a\nskipped\nbad\n\n" + b"x" * MAX_PAYLOAD_BYTES + b"\nlong")
    made.input.far.close()
    assert made.arrive(5) == [b"first", b"<a>", b"<>", b"<long>", b"last"]
    assert [type(error) for error in made.failures] == [TextError, SendError]


def test_a_line_may_end_the_input(make: Make) -> None:
    made = make(packs=True, good_bye=b"last")
    made.input.far.give(b"a\nquit\nb\n")
    assert made.arrive(2) == [b"<a>", b"last"]
    assert made.ended == 1
    made.input.far.give(b"c\n")
    run_for(made.loop, 0.02)
    assert (made.sent.count, made.ended) == (2, 1)


def test_input_is_not_read_while_nobody_is_there(make: Make) -> None:
    made = make()
    addresses, made.addresses = made.addresses, []
    made.exchange.review()
    made.input.far.give(b"hi")
    run_for(made.loop, 0.02)
    assert made.sent.count == 0
    made.addresses = addresses
    made.exchange.review()
    assert made.arrive(1) == [b"hi"]


def test_a_total_counts_datagrams() -> None:
    total = Total()
    for size, segment in ((0, 100), (100, 100), (101, 100), (1, 100)):
        total.add(size, segment, 7.0 + size / 10)
    assert (total.count, total.size) == (5, 202)


def test_a_total_takes_the_time_from_the_first_to_the_last() -> None:
    total = Total()
    assert total.seconds == 0
    for now in (5.0, 6.0, 8.5):
        total.add(1, 1, now)
    assert total.seconds == 3.5


def test_what_was_sent_first_is_kept_for_a_while() -> None:
    first = FirstDatagrams()
    assert not first.may_be_sent_again(100.0)
    data = bytearray(b"abc")
    assert first.keep(memoryview(data), 2, 100.0)
    data[:] = b"xyz"
    assert first.keep(b"", 9, 101.0)
    assert first.kept == [(b"abc", 2), (b"", 9)]
    assert first.may_be_sent_again(101.0)
    assert not first.may_be_sent_again(101.1)
    assert not first.keep(b"d", 1, 101.1)


def test_how_much_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_RESENT_BYTES", 300)
    first = FirstDatagrams()
    assert [first.keep(b"", 9, 0.0) for _ in range(5)] == [True] * 4 + [False]
    first = FirstDatagrams()
    assert [first.keep(bytes(86), 9, 0.0) for _ in range(3)] == [True, True, False]
