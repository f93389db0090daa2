"""Bulk: when a reader wakes later and a send queue is short, and that no byte waits for long."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import pytest

from sockkit.net import bulk
from sockkit.net.bulk import (
    LOOK_SECONDS,
    LOW_WATER_BYTES,
    MAX_PAUSE_LOOKS,
    MUCH_BYTES,
    SEND_QUEUE_BYTES,
    Bulk,
)
from sockkit.net.ends.socket_end import SocketEnd
from sockkit.net.loop import Loop
from sockkit.net.pump import Pump
from tests.net import kit
from tests.net.kit import noise, run_for, run_until

loop, stack = kit.loop, kit.stack


class Case:
    """A Bulk of two connections, on a clock that skips time."""

    def __init__(self, loop: Loop, stack: kit.Stack) -> None:
        self.loop = loop
        self.source: SocketEnd = kit.stream_end("tcp", stack).end
        self.sink: SocketEnd = kit.stream_end("tcp", stack).end
        self.bulk = Bulk(loop, self.source, self.sink)
        stack.callback(self.bulk.stop)

    def receives(self, *sizes: int) -> None:
        """So much is received between one look and the next."""
        for size in sizes:
            self.bulk.received(size)
            run_for(self.loop, LOOK_SECONDS)

    @property
    def low_water(self) -> int:
        return option(self.source, socket.SO_RCVLOWAT)


def option(end: SocketEnd, name: int) -> int:
    return end._socket.getsockopt(socket.SOL_SOCKET, name)


def made_pump(loop: Loop, stack: kit.Stack, source: kit.Made, sink: kit.Made) -> Pump:
    """A pump that neither ends nor fails."""
    never = dict.fromkeys(("on_end", "on_fail"), pytest.fail)
    pump = Pump(loop, source.end, sink.end, None, None, on_progress=None, **never)
    stack.callback(pump.close)
    return pump


@pytest.fixture
def case(loop: Loop, stack: kit.Stack, monkeypatch: pytest.MonkeyPatch) -> Case:
    kit.skip_time(loop, monkeypatch)
    return Case(loop, stack)


def test_much_between_two_looks_raises_the_mark_and_shortens_the_queue(case: Case) -> None:
    case.receives(MUCH_BYTES - 1)
    assert case.low_water == 1
    case.receives(MUCH_BYTES)
    assert case.low_water == LOW_WATER_BYTES
    assert option(case.sink, socket.SO_SNDBUF) == SEND_QUEUE_BYTES


def test_all_that_is_received_between_two_looks_counts(case: Case) -> None:
    case.bulk.received(MUCH_BYTES // 2)
    case.bulk.received(MUCH_BYTES // 2)
    run_for(case.loop, LOOK_SECONDS)
    assert case.low_water == LOW_WATER_BYTES


def test_less_keeps_the_mark_and_little_lowers_it(case: Case) -> None:
    case.receives(MUCH_BYTES, LOW_WATER_BYTES)
    assert case.low_water == LOW_WATER_BYTES
    case.receives(LOW_WATER_BYTES - 1)
    assert case.low_water == 1


def test_a_silence_lowers_the_mark(case: Case) -> None:
    case.receives(MUCH_BYTES)
    run_for(case.loop, 2 * LOOK_SECONDS)
    assert case.low_water == 1


def test_requests_that_are_delayed_lead_to_ever_longer_pauses(case: Case) -> None:
    pause = 0
    for _ in range(9):
        case.receives(*[MUCH_BYTES] * pause)
        assert case.low_water == 1
        case.receives(MUCH_BYTES)
        assert case.low_water == LOW_WATER_BYTES
        case.receives(1)
        assert case.low_water == 1
        pause = min(2 * pause or 2, MAX_PAUSE_LOOKS)


def test_a_bulk_transfer_shortens_the_pauses_again(case: Case) -> None:
    for pause in (0, 2, 4, 8):
        case.receives(*[MUCH_BYTES] * pause, MUCH_BYTES, 1)
    case.receives(*[MUCH_BYTES] * 17)
    assert case.low_water == LOW_WATER_BYTES
    case.receives(*[MUCH_BYTES] * 4, 1)
    case.receives(*[MUCH_BYTES] * 2)
    assert case.low_water == 1
    case.receives(MUCH_BYTES)
    assert case.low_water == LOW_WATER_BYTES


def test_nothing_is_looked_at_while_nothing_comes(case: Case) -> None:
    case.receives(1)
    run_for(case.loop, 2 * LOOK_SECONDS)
    assert case.bulk._timer is None
    case.receives(MUCH_BYTES)
    assert case.low_water == LOW_WATER_BYTES


def test_a_reader_that_stops_leaves_the_socket_as_it_was(case: Case) -> None:
    case.receives(MUCH_BYTES)
    case.bulk.stop()
    assert case.low_water == 1
    assert case.bulk._timer is None


def test_a_queue_whose_size_was_asked_for_keeps_it(case: Case) -> None:
    case.sink._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1_000_000)
    case.receives(MUCH_BYTES)
    assert option(case.sink, socket.SO_SNDBUF) == 2_000_000
    assert case.low_water == LOW_WATER_BYTES


def is_watched(loop: Loop, source: Any, sink: Any) -> bool:
    watch = Bulk(loop, source, sink)
    watch.received(MUCH_BYTES)
    watched = watch._timer is not None
    watch.stop()
    return watched


def test_only_connections_within_this_machine_are_watched(
    loop: Loop, stack: kit.Stack, tmp_path: Path
) -> None:
    sink = kit.stream_end("tcp", stack).end
    assert is_watched(loop, kit.stream_end("tcp", stack).end, sink)
    assert not is_watched(loop, kit.stream_end("unix", stack).end, sink)
    assert not is_watched(loop, kit.source("pipe", stack, tmp_path).end, sink)
    with socket.create_server(("127.0.0.2", 0)) as listener, socket.socket() as sock:
        sock.bind(("127.0.0.3", 0))
        sock.connect(listener.getsockname())
        far = SocketEnd(loop, sock, kit.PEER, lambda _: None)
        assert not is_watched(loop, far, sink)


def test_the_rest_of_much_is_passed_on(
    loop: Loop, stack: kit.Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bytes that are too few to wake the reader wait for the next looks, not for more bytes."""
    monkeypatch.setattr(bulk, "MUCH_BYTES", LOW_WATER_BYTES)
    source, sink = kit.stream_end("tcp", stack), kit.stream_end("tcp", stack)
    pump = made_pump(loop, stack, source, sink)
    pump.start()
    got, there = bytearray(), sink.far.descriptor
    loop.when_readable(there, lambda: got.extend(os.read(there, 1 << 20)))
    given = bytearray()
    os.set_blocking(source.far.descriptor, False)

    def give() -> None:
        """More and more, until the mark is raised; then a little."""
        raised = option(source.end, socket.SO_RCVLOWAT) > 1
        given.extend(noise(64_000)[: os.write(source.far.descriptor, noise(64_000))])
        if raised:
            loop.when_writable(source.far.descriptor, None)

    loop.when_writable(source.far.descriptor, give)
    run_until(loop, lambda: option(source.end, socket.SO_RCVLOWAT) > 1)
    run_until(loop, lambda: len(got) == len(given))
    assert got == given
    loop.when_readable(there, None)


def test_a_pump_that_stops_leaves_its_source_as_it_was(
    loop: Loop, stack: kit.Stack, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    kit.skip_time(loop, monkeypatch)
    source, sink = kit.stream_end("tcp", stack), kit.sink("file", stack, tmp_path)
    pump = made_pump(loop, stack, source, sink)
    pump._watch(MUCH_BYTES)
    run_for(loop, LOOK_SECONDS)
    assert option(source.end, socket.SO_RCVLOWAT) == LOW_WATER_BYTES
    pump.stop()
    assert option(source.end, socket.SO_RCVLOWAT) == 1
