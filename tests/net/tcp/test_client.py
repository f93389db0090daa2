"""One client of a server of many, with a host that only keeps what it is told."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
from collections.abc import Callable
from typing import Any

import pytest

from sockkit.core.ending import EndOptions, Until
from sockkit.core.merging import Part
from sockkit.core.text import Errors, TextOptions
from sockkit.errors import SendError, TextError
from sockkit.events import Closed, Emit, Event, Notice, PeerEnded
from sockkit.net import reader
from sockkit.net.closing import Closer
from sockkit.net.coalesce import Coalescer
from sockkit.net.ends.socket_end import SocketEnd
from sockkit.net.loop import Loop
from sockkit.net.tcp.client import Client, ClientOptions
from tests.net import kit
from tests.net.kit import noise, run_for, run_until

loop, stack = kit.loop, kit.stack

SHORT = 0.05
MOST, SILENCE = 4.0, 3.0  # seconds of a `clock`: a bound, and a silence that it allows
GBK = TextOptions(encoding="gbk")


class Host:
    """A client's server; its output has space while `open`."""

    def __init__(self, loop: Loop, emit: Emit) -> None:
        self.context = kit.context(loop, emit=emit)
        self.buffer = memoryview(bytearray(1000))
        self.open = True
        self.slow = False
        self.parts: list[Part] = []
        self.replies = 0
        self.client: Client | None = None
        self.waits: list[bool] = []
        self.closer = Closer(loop)
        self.gone: list[Client] = []
        self.missed = False
        self.former: list[Client] = []

    def has_space(self) -> bool:
        return self.open

    def received(self, _: Client, parts: list[Part]) -> None:
        self.parts += parts

    @property
    def got(self) -> bytes:
        """What may be written, and what is held."""
        held = self.client.splitter.release() if self.client else []
        self.parts += held
        return b"".join(part.data for part in self.parts)

    def reply(self, _: Client) -> None:
        self.replies += 1

    def busy(self, _: Client, waits: bool) -> None:
        self.waits.append(waits)

    def held_up(self) -> bool:
        return self.slow

    def departed(self, client: Client) -> None:
        self.former.append(client)

    def closed(self, client: Client, *, missed: bool) -> None:
        self.gone.append(client)
        self.missed = missed


class Case:
    """A client of a host, and its client's descriptor."""

    def __init__(self, loop: Loop, stack: contextlib.ExitStack, options: ClientOptions) -> None:
        self.events: list[Event] = []
        made = kit.stream_end("tcp", stack)
        self.loop, self.far, self.host = loop, made.far, Host(loop, self.events.append)
        self.stream: SocketEnd = made.end
        self.client = self.host.client = Client(self.host, made.end, options)
        stack.callback(self.host.closer.close_all)
        stack.callback(self.client.connection.close)
        self.client.start()

    def until(self, true: Callable[[], bool]) -> None:
        run_until(self.loop, true)

    def closed(self) -> Closed:
        """Wait until the member has left."""
        self.until(lambda: bool(self.host.gone))
        assert self.host.gone == [self.client]
        (event,) = kit.of_kind(self.events, Closed)
        assert event.seconds >= 0
        return event._replace(seconds=None)  # type: ignore[no-any-return]

    def lasts(self, clock: kit.Clock, seconds: float) -> None:
        """So much time passes."""
        clock.passes(seconds)
        kit.settle(self.loop)

    def takes_steadily(self, clock: kit.Clock) -> None:
        """The client takes a little now and then, for longer than MOST."""
        for _ in range(3):
            self.lasts(clock, SILENCE)
            waits = self.stream.queued()
            while self.stream.queued() >= waits:  # much has to be taken until the system tells so
                os.read(self.far.descriptor, 50_000)
        self.lasts(clock, SILENCE)

    def end(self) -> None:
        """The client ends its side."""
        with socket.socket(fileno=os.dup(self.far.descriptor)) as sock:
            sock.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        with socket.socket(fileno=self.far.descriptor) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.far.descriptor = -1


Make = Callable[..., Case]


@pytest.fixture
def clock(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> kit.Clock:
    return kit.Clock(loop, monkeypatch)


@pytest.fixture
def make(loop: Loop, stack: contextlib.ExitStack) -> Make:
    def make(
        until: Until = Until.BOTH,
        linger: float | None = None,
        idle: float | None = None,
        slow: float = 30.0,
        text: TextOptions = TextOptions(),  # noqa: B008
    ) -> Case:
        options = ClientOptions(
            EndOptions(until, linger, idle),
            outbound=lambda: text.outbound("utf-8", "stdin"),
            inbound=lambda: text.inbound("utf-8"),
            slow_timeout=slow,
        )
        return Case(loop, stack, options)

    return make


def test_bytes_go_both_ways(make: Make) -> None:
    case = make()
    data = noise(5000)  # more than one receive
    case.far.give(data)
    case.until(lambda: len(case.host.got) == 5000)
    assert case.host.got == data
    case.client.send(b"hello")
    assert os.read(case.far.descriptor, 9) == b"hello"


@pytest.mark.parametrize("first", ["input", "peer"])
def test_it_leaves_when_both_have_ended(first: str, make: Make) -> None:
    case = make()
    case.client.send(b"bye")
    case.far.give(b"see you")
    if first == "input":
        case.client.end_input()
        case.until(lambda: case.host.got == b"see you")
        assert not case.host.gone
        case.end()
    else:
        case.end()
        case.until(lambda: bool(kit.of_kind(case.events, PeerEnded)))
        assert not case.host.gone
        case.client.send(b"!")
        case.client.end_input()
    assert case.closed() == Closed(kit.PEER, 3 if first == "input" else 4, 7, "")
    assert case.far.take() == (b"bye" if first == "input" else b"bye!")


def test_until_peer_leaves_at_its_end(make: Make) -> None:
    case = make(Until.PEER)
    case.end()
    assert case.closed().problem == ""


@pytest.mark.parametrize("ended", ["input", "peer"])
def test_linger_bounds_the_silence_after_an_end(ended: str, make: Make) -> None:
    case = make(linger=SHORT)
    case.client.end_input() if ended == "input" else case.end()
    assert case.closed().problem == ""


def test_linger_does_not_count_while_another_client_holds_the_input_up(
    make: Make, loop: Loop
) -> None:
    case = make(linger=SHORT)
    case.host.slow = True
    case.end()
    run_for(loop, 0.3)
    assert not case.host.gone
    case.host.slow = False
    assert case.closed().problem == ""


@pytest.mark.parametrize("ended", [False, True], ids=["input open", "input ended"])
def test_a_client_that_is_idle_leaves(ended: bool, make: Make) -> None:
    case = make(idle=SHORT)
    if ended:
        case.client.end_input()
    assert case.closed().problem == "nothing was sent or received for 0.05 s"


@pytest.mark.parametrize("who", ["us", "peer"])
def test_a_client_that_has_become_idle_leaves(who: str, make: Make) -> None:
    case = make(idle=SHORT)
    case.client.send(b"x") if who == "us" else case.far.give(b"x")
    assert "nothing was sent or received" in case.closed().problem


def test_a_client_that_talks_is_not_idle(make: Make, loop: Loop, clock: kit.Clock) -> None:
    case = make(idle=MOST)
    case.client.end_input()
    for count in range(1, 4):
        case.far.give(b"x")
        kit.do(loop, lambda count=count: len(case.host.got) == count, loop.stop)  # type: ignore[misc]
        loop.run()
        case.lasts(clock, SILENCE)
        assert not case.host.former


def test_a_slow_client_makes_its_host_busy_until_it_has_caught_up(make: Make, loop: Loop) -> None:
    case = make()
    data = noise(8_000_000)
    got = bytearray()
    for times in (1, 2):
        case.client.send(data)
        assert case.host.waits == [True, False] * (times - 1) + [True]
        assert case.client.connection.unsent > 0
        loop.when_readable(
            case.far.descriptor, lambda: got.extend(os.read(case.far.descriptor, 1_000_000))
        )
        case.until(lambda times=times: len(got) == times * len(data))  # type: ignore[misc]
        loop.when_readable(case.far.descriptor, None)
        assert case.host.waits == [True, False] * times
        assert case.client.connection.unsent == 0
    assert got == data * 2


def test_a_client_that_is_over_is_kept_until_it_has_taken_what_waits(make: Make) -> None:
    """For as long as it is not too slow."""
    case = make()
    case.end()
    case.until(lambda: bool(kit.of_kind(case.events, PeerEnded)))
    data = noise(8_000_000)
    case.client.send(data)
    case.client.end_input()
    kit.settle(case.loop)
    assert not case.host.former
    gathering = kit.Gathering(case.far)
    assert case.closed() == Closed(kit.PEER, len(data), 0, "")
    assert gathering.result() == data


def test_a_client_that_takes_nothing_is_dropped_and_named(make: Make) -> None:
    case = make(slow=SHORT)
    size = 20_000_000
    case.client.send(bytes(size))
    closed = case.closed()
    assert case.host.missed
    assert closed.problem == (
        f"dropped: too slow for 0.05 s (--slow-timeout), {size - closed.sent:,} bytes not sent"
    )
    assert len(case.far.take()) == closed.sent  # then a reset


def test_a_client_that_takes_slowly_and_steadily_is_kept(make: Make, clock: kit.Clock) -> None:
    case = make(slow=MOST)
    case.client.send(bytes(20_000_000))
    case.takes_steadily(clock)
    assert case.host.waits == [True]  # all the time
    assert not case.host.former


def test_a_client_that_has_ceased_to_take_is_dropped(make: Make, clock: kit.Clock) -> None:
    case = make(slow=MOST)
    case.client.send(bytes(20_000_000))
    case.takes_steadily(clock)
    for _ in range(8):  # what was on its way may still arrive
        case.lasts(clock, SILENCE)
    assert case.host.former


def test_a_client_that_takes_what_waits_is_not_idle(make: Make, clock: kit.Clock) -> None:
    case = make(idle=MOST)
    case.client.send(bytes(3_000_000))
    assert case.host.waits == []  # the system has it
    case.takes_steadily(clock)
    assert not case.host.former


def test_a_client_that_takes_nothing_is_not_read(make: Make, loop: Loop) -> None:
    """Otherwise what it makes the server say would grow without a bound."""
    case = make()
    case.far.give(b"first")
    case.until(lambda: case.host.got == b"first")
    case.client.send(bytes(20_000_000))
    case.far.give(b"second")
    run_for(loop, 0.02)
    case.far.give(b"third")
    run_for(loop, 0.2)  # longer than an acknowledgement is delayed: it has arrived
    assert b"third" not in case.host.got


def test_it_is_read_only_while_the_host_has_room(make: Make, loop: Loop) -> None:
    case = make()
    case.host.open = False
    case.far.give(b"waits")
    run_for(loop, 0.02)
    assert case.host.got == b""
    case.host.open = True
    run_for(loop, 0.02)
    assert case.host.got == b""  # until it is told
    case.client.resume()
    case.until(lambda: case.host.got == b"waits")


def test_one_that_sends_tiny_pieces_is_read_less_often(
    make: Make, loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "PAUSE_SECONDS", 0.5)
    monkeypatch.setattr(Coalescer, "should_pause", lambda *_: True)
    case = make()
    case.far.give(b"a")
    case.until(lambda: case.host.got == b"a")
    case.far.give(b"b")
    run_for(loop, 0.01)
    assert case.host.got == b"a"
    case.until(lambda: case.host.got == b"ab")


def test_a_reset_is_told_with_what_came_before(make: Make) -> None:
    case = make()
    case.far.give(b"four")
    case.until(lambda: case.host.got == b"four")
    case.reset()
    closed = case.closed()
    assert (closed.received, closed.problem) == (
        4,
        "receiving failed: connection reset by peer",
    )
    assert not closed.lost  # it left in its way, and had got all


def test_what_a_client_sent_is_read_although_it_takes_no_more(make: Make) -> None:
    case = make()
    case.far.give(b"last words")
    case.far.close()
    for _ in range(3):
        case.client.send(b"to nobody")
    closed = case.closed()
    assert case.host.got == b"last words"
    assert closed.received == 10
    assert closed.problem.startswith("sending failed: the peer has closed, ")


def test_what_a_client_sent_is_read_although_it_has_not_taken_what_waits(make: Make) -> None:
    """It was not read while its own outbox waited."""
    case = make()
    case.client.send(bytes(20_000_000))
    case.far.give(b"last words")
    case.far.close()
    closed = case.closed()
    assert case.host.got == b"last words"
    assert "bytes not sent" in closed.problem
    assert case.host.waits == [True, False]


def test_a_client_that_nothing_can_be_sent_to_is_soon_closed(
    make: Make, loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    kit.skip_time(loop, monkeypatch)
    case = make()
    kit.fail_nth(monkeypatch, SocketEnd, "write", 1, SendError("it failed"))
    began = loop.now
    case.client.send(b"x")
    assert case.closed().problem == "it failed, 1 byte not sent"
    assert loop.now - began < 5


def test_leaving_twice_is_leaving_once(make: Make) -> None:
    case = make()
    case.client.connection.close_lingering(SendError("kicked"))
    case.client.connection.close_lingering(SendError("again"), drop=True)
    case.client.connection.close()
    assert case.closed() == Closed(kit.PEER, 0, 0, "kicked", "kicked")
    assert case.host.former == [case.client]


def test_each_direction_has_its_encoding(make: Make) -> None:
    case = make(text=GBK)
    word = "你好".encode("gbk")
    case.far.give(word[:1])
    case.far.give(word[1:3])
    case.far.give(word[3:])
    case.until(lambda: case.host.got == "你好".encode())
    case.client.send("早".encode())
    assert os.read(case.far.descriptor, 9) == "早".encode("gbk")


def test_what_has_no_place_on_the_wire_is_an_error_after_what_has(make: Make) -> None:
    case = make(text=GBK)
    with pytest.raises(TextError, match="1F44B"):
        case.client.send("早👋".encode())
    assert os.read(case.far.descriptor, 9) == "早".encode("gbk")


@pytest.mark.parametrize(
    ("text", "got", "problem"),
    [(GBK, b"ok\\xc4", ""), (GBK._replace(errors=Errors.STRICT), b"ok", "is not gbk")],
)
def test_a_character_cut_by_the_end(text: Any, got: bytes, problem: str, make: Make) -> None:
    case = make(Until.PEER, text=text)
    case.far.give(b"ok\xc4")
    case.end()
    closed = case.closed()
    assert case.host.got == got
    assert problem in closed.problem
    assert bool(closed.problem) == bool(problem)
    assert bool(kit.of_kind(case.events, Notice)) != bool(problem)


def test_a_client_that_sends_tiny_pieces_is_read_less_often(
    make: Make, loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When that is due: tests/net/test_coalesce.py."""
    kit.coalesces(monkeypatch, reader)
    case = make()
    kit.give_tiny_pieces(loop, case.far, 50)
    case.until(lambda: len(case.host.got) == 50)
    assert case.host.replies <= 10  # one for each receive
