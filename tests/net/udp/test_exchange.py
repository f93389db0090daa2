"""The two directions of one socket, together."""

from __future__ import annotations

import pytest

from sockkit.events import DatagramTotal
from sockkit.net.loop import Loop
from tests.net import kit
from tests.net.kit import run_for, run_until
from tests.net.udp import site
from tests.net.udp.site import Full, Make

loop, stack, make = kit.loop, kit.stack, site.make


@pytest.mark.parametrize("lines", [True, False])
def test_a_system_that_takes_nothing_pauses_both_sides(
    lines: bool, make: Make, loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make(packs=lines)
    system = Full(monkeypatch, made.near)
    made.input.far.give(b"one\n")
    run_until(loop, lambda: not made.exchange.idle)
    made.input.far.give(b"two\n")
    made.say(b"hi")
    run_for(loop, 0.02)
    assert made.input.end.has_bytes()
    assert made.receiver.total.count == 0
    system.off()
    assert made.arrive(2) == ([b"<one>", b"<two>"] if lines else [b"one\n", b"two\n"])
    run_until(loop, lambda: made.receiver.total.count == 1)


def test_finish_ends_the_run_once_all_is_delivered(make: Make, loop: Loop) -> None:
    made = make()
    made.input.far.give(b"x")
    assert made.arrive(1) == [b"x"]
    loop.call_soon(made.exchange.finish)
    loop.run()
    assert made.exchange.idle


def test_finish_waits_for_what_the_system_does_not_take(
    make: Make, loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And meanwhile nothing more is read or received."""
    made = make()
    system = Full(monkeypatch, made.near)
    made.input.far.give(b"x")
    run_until(loop, lambda: not made.exchange.idle)
    made.exchange.finish()
    made.input.far.give(b"more")
    made.say(b"hi")
    loop.later(0.02, system.off)
    loop.run()
    assert not system.is_on
    assert made.exchange.idle
    assert made.input.end.has_bytes()
    assert made.receiver.total.count == 0


def test_what_is_typed_may_go_to_somebody_else(make: Make, loop: Loop) -> None:
    typed: list[bytes] = []
    made = make()
    made.exchange.start(typed.append)
    made.addresses = []  # it is read although nobody is there
    made.exchange.review()
    made.input.far.give(b"/list\n")
    run_until(loop, lambda: typed == [b"/list\n"])
    made.input.far.close()
    run_until(loop, lambda: typed == [b"/list\n", b""])
    assert made.sent.count == made.ended == 0


def test_nothing_typed_is_heard_once_it_finishes(make: Make, loop: Loop) -> None:
    typed: list[bytes] = []
    made = make()
    made.exchange.start(typed.append)
    made.exchange.finish()
    made.input.far.give(b"late\n")
    run_for(loop, 0.02)
    assert typed == []


def test_both_totals_are_told(make: Make, loop: Loop) -> None:
    made = make()
    made.input.far.give(b"abc")
    made.say(b"four")
    assert made.arrive(1) == [b"abc"]
    run_until(loop, lambda: made.receiver.total.count == 1)
    made.exchange.stop()
    assert kit.of_kind(made.events, DatagramTotal) == [
        DatagramTotal("sent", 1, 3),
        DatagramTotal("received", 1, 4),
    ]
