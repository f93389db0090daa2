"""Taps make records of what passes, and gates call back when there is room."""

from __future__ import annotations

import pytest

from sockkit.core.frame_spec import parse_frame
from sockkit.net.ends.end import Callback
from sockkit.net.ends.memory import memory_pair
from sockkit.net.loop import Loop
from sockkit.net.taps import Gate
from sockkit.net.views import Views
from tests.net import kit
from tests.net.views_kit import STREAM, Kept, Pipe, Raw, no_events

loop, stack = kit.loop, kit.stack


def test_a_tap_tells_what_passes_and_when(loop: Loop) -> None:
    views, kept = Views(loop, no_events), Kept()
    views.add(kept)
    tap = views.tap(STREAM)
    tap.passed("sent", b"ping")
    tap.passed("received", b"pong")
    tap.ended("received")
    tap.closed()
    assert kept.told == [
        ("Opened",),
        ("Message", "sent", b"ping", ""),
        ("Message", "received", b"pong", ""),
        ("Ended", "received"),
        ("Closed", ""),
    ]
    times = [record.time for record in kept.records]
    assert times == sorted(times)
    assert times[0] > 1_600_000_000_000_000


def test_messages_are_the_frames_of_their_direction(loop: Loop) -> None:
    views, kept = Views(loop, no_events, parse_frame("fixed:3").framer), Kept()
    views.add(kept)
    tap = views.tap(STREAM)
    tap.passed("sent", b"abcd")
    tap.passed("received", b"12")
    tap.passed("sent", b"ef")
    tap.passed("received", b"34")
    tap.ended("received")
    tap.closed()
    assert tap.frames == {"sent": 2, "received": 2}
    assert kept.told[1:-1] == [
        ("Message", "sent", b"abc", ""),
        ("Message", "sent", b"def", ""),
        ("Message", "received", b"123", ""),
        ("Message", "received", b"4", "cut"),
        ("Ended", "received"),
    ]


def test_a_silence_ends_a_frame(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    views, kept = Views(loop, no_events, parse_frame("gap:1").framer), Kept()
    views.add(kept)
    tap = views.tap(STREAM)
    kit.skip_time(loop, monkeypatch)
    tap.passed("sent", b"a")
    loop.later(0.5, lambda: tap.passed("sent", b"b"))
    loop.later(5, loop.stop)
    loop.run()
    assert kept.told[1:] == [("Message", "sent", b"ab", "")]


def test_a_gate_calls_back_again_when_there_is_room(loop: Loop, stack: kit.Stack) -> None:
    pipe = Pipe(loop, stack, Raw())
    tap = pipe.views.tap(STREAM)
    while not pipe.views.full:
        tap.passed("sent", bytes(65536))
        kit.settle(loop)
    near, far = memory_pair(loop)
    gate, called = Gate(pipe.views, near.when_readable), []
    gate.when_ready(lambda: called.append(1))
    far.write(b"a")
    kit.settle(loop)
    assert not called
    gate.when_ready(None)
    while pipe.read():
        kit.settle(loop)
    assert not called
    gate.when_ready(lambda: called.append(1))
    kit.settle(loop)
    assert called
    gate.when_ready(None)


def test_a_gate_leaves_an_end_alone_that_was_closed_meanwhile(loop: Loop, stack: kit.Stack) -> None:
    pipe = Pipe(loop, stack, Raw())
    tap = pipe.views.tap(STREAM)
    while not pipe.views.full:
        tap.passed("sent", bytes(65536))
        kit.settle(loop)
    near, far = memory_pair(loop)
    watched: list[object] = []

    def watch(callback: Callback | None) -> None:
        watched.append(callback)
        near.when_readable(callback)

    gate = Gate(pipe.views, watch)
    gate.when_ready(lambda: None)
    far.write(b"a")
    kit.settle(loop)
    gate.when_ready(None)
    watched.clear()
    while pipe.read():
        kit.settle(loop)
    assert not watched


def test_an_end_that_is_closed_waits_for_no_room(loop: Loop, stack: kit.Stack) -> None:
    pipe = Pipe(loop, stack, Raw())
    while not pipe.views.full:
        pipe.views.tap(STREAM).passed("sent", bytes(65536))
        kit.settle(loop)
    for _ in range(10):
        near, far = memory_pair(loop)
        gate = Gate(pipe.views, near.when_readable)
        gate.when_ready(lambda: None)
        far.write(b"x")
        kit.settle(loop)
        gate.when_ready(None)
    assert not pipe.views._waiting
