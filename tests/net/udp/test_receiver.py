"""Datagrams on their way to standard output."""

from __future__ import annotations

from sockkit.events import DatagramTotal, Failure
from sockkit.net.loop import Loop
from tests.net import kit
from tests.net.kit import noise, run_for, run_until
from tests.net.udp import site
from tests.net.udp.site import Make

loop, stack, make = kit.loop, kit.stack, site.make


def test_output(make: Make) -> None:
    shown, plain = make(shows=True), make()
    for made in (shown, plain):
        for data in (b"a", b"", b"b"):
            made.say(data)
        run_until(made.loop, lambda made=made: made.receiver.total.count == 3)
        made.exchange.stop()
        made.output.release()
    assert shown.output.far.take() == b"1 a\n1 \n1 b\n"
    assert plain.output.far.take() == b"ab"
    assert kit.of_kind(plain.events, DatagramTotal)[1] == DatagramTotal("received", 3, 2)


def test_what_cannot_be_decoded_is_told_and_counted(make: Make) -> None:
    made = make(shows=True)
    for data in (b"a", b"bad", b"b"):
        made.say(data)
    run_until(made.loop, lambda: made.receiver.total.count == 3)
    assert made.receiver.undecoded == 1
    made.exchange.stop()
    made.output.release()
    assert made.output.far.take() == b"1 a\n1 b\n"
    (failure,) = kit.of_kind(made.events, Failure)
    assert failure.text == "a datagram from there is not shown: no such text"


def test_an_output_that_takes_nothing_pauses_receiving(make: Make, loop: Loop) -> None:
    made = make()
    kit.fill(made.output.shared)
    made.say(noise(60_000))
    run_until(loop, lambda: not made.exchange.idle)
    before = made.receiver.total.count
    made.say(b"more")
    run_for(loop, 0.05)
    assert made.receiver.total.count == before


def test_what_is_dropped_is_counted_and_nothing_of_it_is_a_fault(make: Make) -> None:
    made = make(drops=True)
    for data in (b"a", b"bad"):
        made.say(data)
    run_until(made.loop, lambda: made.receiver.total.count == 2)
    made.exchange.stop()
    made.output.release()
    assert made.output.far.take() == b""
    assert not made.receiver.undecoded
