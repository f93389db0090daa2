"""A close that waits until the peer has what was written, and what a peer can cost by it."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable

import pytest

from sockkit.core.frame_spec import parse_frame
from sockkit.core.records import Ended, Message, Record
from sockkit.errors import SendError, SockkitError
from sockkit.net import closing as module
from sockkit.net.closing import Closer
from sockkit.net.ends.memory import memory_pair
from sockkit.net.ends.socket_end import SocketEnd
from sockkit.net.loop import Loop
from sockkit.net.outbox import Outbox
from sockkit.net.screen import MAX_WAITING_BYTES
from sockkit.net.views import Views
from tests.net import kit
from tests.net.kit import noise, run_for, run_until
from tests.support import reset

loop, stack = kit.loop, kit.stack

LAST = noise(300_000)  # the system takes it, and a peer that does not read only part of it
MUCH = noise(20_000_000)  # more than both take


class Nothing:
    """A view that shows nothing."""

    def show(self, record: Record, /) -> bytes:
        return b""


class Case:
    """A connection with its outbox, and the peer's end of it."""

    def __init__(self, loop: Loop, stack: contextlib.ExitStack) -> None:
        ours, theirs = kit.tcp_pair()
        theirs.settimeout(kit.WAIT)
        self.loop, self.peer = loop, stack.enter_context(theirs)
        self.end = SocketEnd(loop, ours, kit.PEER, lambda _: None)
        self.outbox = Outbox(self.end, on_empty=lambda: None, on_fail=lambda _: None)
        self.closer = Closer(loop)
        stack.callback(self.end.close)
        stack.callback(self.closer.close_all)
        self.undelivered: list[int] = []
        self.failure: SockkitError | None = None

    def close(self) -> None:
        self.closer.close_lingering(
            self.end, self.outbox, self._closed, ended=False, half_closed=False
        )

    def _closed(self, undelivered: int, failure: SockkitError | None) -> None:
        self.undelivered.append(undelivered)
        self.failure = failure

    def closed(self) -> int:
        """Wait until it is; how much was not acknowledged."""
        run_until(self.loop, lambda: bool(self.undelivered))
        assert len(self.closer) == 0
        (undelivered,) = self.undelivered
        return undelivered


@pytest.fixture
def case(loop: Loop, stack: contextlib.ExitStack) -> Case:
    return Case(loop, stack)


def in_thread(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def read_all(sock: socket.socket) -> bytes:
    """Everything until the end."""
    got = bytearray()
    while data := sock.recv(1_000_000):
        got += data
    return bytes(got)


def test_what_was_put_is_delivered_although_the_peer_still_sends(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "QUIET_SECONDS", 1000.0)
    got: list[bytes] = []
    stop = threading.Event()

    def talk() -> None:
        with contextlib.suppress(OSError):
            while not stop.is_set():
                case.peer.sendall(b"chatter\n")
                time.sleep(0.001)

    talking = in_thread(talk)
    case.outbox.put(MUCH)
    reading = in_thread(lambda: got.append(read_all(case.peer)))
    case.close()
    run_until(case.loop, lambda: bool(got))
    stop.set()
    talking.join(kit.WAIT)
    reading.join(kit.WAIT)
    assert got == [MUCH]
    assert case.closed() == 0


def test_it_closes_at_once_where_the_peer_has_ended_and_has_it_all(case: Case) -> None:
    case.outbox.put(b"all")
    assert case.peer.recv(9) == b"all"
    case.peer.shutdown(socket.SHUT_WR)
    run_until(case.loop, lambda: case.end.undelivered() == 0)
    case.close()
    assert case.undelivered == [0]
    assert case.peer.recv(9) == b""


def test_a_peer_that_closes_ends_it(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_STALL_SECONDS", 1000.0)
    monkeypatch.setattr(module, "QUIET_SECONDS", 1000.0)
    case.close()
    assert case.peer.recv(9) == b""
    case.peer.close()
    assert case.closed() == 0


@pytest.mark.parametrize("ended", [False, True])
def test_a_peer_that_resets_ends_it(
    ended: bool, case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_STALL_SECONDS", 1000.0)
    case.outbox.put(LAST)
    if ended:
        case.peer.shutdown(socket.SHUT_WR)
    case.close()
    run_for(case.loop, 0.1)
    reset(case.peer)
    assert case.closed() > 0
    assert isinstance(case.failure, SendError)
    assert case.failure.__traceback__ is None


def test_a_silent_peer_is_let_go_soon(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_STALL_SECONDS", 1000.0)
    monkeypatch.setattr(module, "MAX_CHATTER_SECONDS", 1000.0)
    monkeypatch.setattr(module, "QUIET_SECONDS", 0.05)
    case.close()
    assert case.closed() == 0
    assert case.peer.recv(9) == b""


@pytest.mark.parametrize(
    "bound", ["MAX_STALL_SECONDS", "MAX_SLOW_STALL_SECONDS", "MAX_CLOSE_SECONDS"]
)
def test_a_peer_that_takes_nothing_is_waited_for_so_long(
    bound: str, case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("MAX_STALL_SECONDS", "MAX_SLOW_STALL_SECONDS", "MAX_CLOSE_SECONDS"):
        monkeypatch.setattr(module, name, 0.1 if name == bound else 1000.0)
    case.outbox.put(LAST if bound != "MAX_SLOW_STALL_SECONDS" else MUCH)
    if bound == "MAX_SLOW_STALL_SECONDS":
        case.outbox.stop()
    case.close()
    left = case.closed()
    assert not case.failure
    if bound == "MAX_SLOW_STALL_SECONDS":
        with pytest.raises(ConnectionResetError):
            read_all(case.peer)
        return
    assert len(read_all(case.peer)) >= len(LAST) - left  # the system goes on with what it can


def test_a_peer_that_did_not_get_all_gets_a_reset(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "QUIET_SECONDS", 0.05)
    case.outbox.put(MUCH)
    case.outbox.stop()
    given = case.outbox.bytes_written
    got: list[int] = []
    case.close()

    def read() -> None:
        with contextlib.suppress(ConnectionResetError):
            while data := case.peer.recv(1_000_000):
                got.append(len(data))
            got.append(-1)  # an end that is none

    reading = in_thread(read)
    left = case.closed()
    reading.join(kit.WAIT)
    assert (left, sum(got)) == (0, given)


def takes_steadily(case: Case) -> None:
    def take() -> None:
        case.peer.recv(100_000)
        case.loop.later(1.0, take)

    case.outbox.put(MUCH)
    take()


def is_too_slow(case: Case) -> None:
    case.outbox.put(MUCH)
    case.outbox.stop()


def chatters(case: Case) -> None:
    case.peer.send(b"chatter\n")
    case.loop.later(0.1, lambda: chatters(case))


# What a peer does once it is let go, and the seconds for which it is waited for.
PATIENCE: dict[str, tuple[Callable[[Case], object], float, float]] = {
    "takes nothing": (lambda case: case.outbox.put(LAST), 5, 20),
    "takes steadily": (takes_steadily, 30, 120),
    "was too slow": (is_too_slow, 1, 5),
    "chatters": (chatters, 1, 5),
    "is silent": (lambda _: None, 0.1, 1),
    "says a last word": (lambda case: case.loop.later(0.29, lambda: case.peer.send(b"x")), 0.4, 1),
}


@pytest.mark.parametrize("peer", PATIENCE)
def test_how_long_a_peer_is_waited_for(
    peer: str, case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    kit.skip_time(case.loop, monkeypatch)
    does, least, most = PATIENCE[peer]
    does(case)
    began = case.loop.now
    case.closer.close_lingering(
        case.end, case.outbox, lambda *_: case.loop.stop(), ended=False, half_closed=False
    )
    case.loop.run()
    assert least < case.loop.now - began < most


@pytest.mark.parametrize("count", [1, 8])
def test_floods_cost_bounded_reading(
    count: int, loop: Loop, stack: contextlib.ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many send on and on."""
    most = 200_000_000  # bytes: 2 s of what a peer alone may make us read, and more
    read = 0

    def flood(_: SocketEnd, buffer: memoryview) -> int:
        nonlocal read
        read += len(buffer)
        assert read < most
        return len(buffer)

    kit.skip_time(loop, monkeypatch)
    monkeypatch.setattr(SocketEnd, "read_into", flood)
    monkeypatch.setattr(SocketEnd, "queued", lambda _: 0)  # an acknowledgement takes real time
    closer = Closer(loop)
    for case in [Case(loop, stack) for _ in range(count)]:
        case.peer.send(b"x")  # which stays there
        closer.close_lingering(
            case.end, case.outbox, lambda *_: loop.stop(), ended=False, half_closed=False
        )
    loop.run()
    closer.close_all()
    assert read > 1_000_000


def test_all_are_closed_side_by_side(
    loop: Loop, stack: contextlib.ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    kit.skip_time(loop, monkeypatch)
    closer = Closer(loop)
    cases = [Case(loop, stack) for _ in range(20)]
    for case in cases:
        case.closer = closer
        case.outbox.put(LAST)
        case.close()
    began = loop.now
    run_until(loop, lambda: len(closer) == 0)
    assert loop.now - began < 2 * module.MAX_STALL_SECONDS
    assert all(case.undelivered and case.undelivered[0] > 0 for case in cases)


def test_a_newcomer_finds_space(loop: Loop, stack: contextlib.ExitStack) -> None:
    """Those that are let go cost descriptors: the first of too many is closed at once."""
    closer = Closer(loop)
    cases = [Case(loop, stack) for _ in range(150)]
    for case in cases:
        case.closer = closer
        closer.make_space()
        case.close()
    kept = len(closer)
    assert 50 < kept < 140
    assert [case.undelivered for case in cases] == [[0]] * (150 - kept) + [[]] * kept
    closer.close_all()
    assert all(case.undelivered == [0] for case in cases)


@pytest.mark.parametrize("half_closed", [False, True])
def test_our_side_is_ended_once(
    half_closed: bool, case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    half_closes: list[SocketEnd] = []
    monkeypatch.setattr(SocketEnd, "half_close", lambda end: half_closes.append(end))
    case.closer.close_lingering(
        case.end, case.outbox, case._closed, ended=False, half_closed=half_closed
    )
    for _ in range(3):
        run_for(case.loop, module.TICK_SECONDS)
    assert len(half_closes) == (not half_closed)


# One that is alone costs nobody anything.


@pytest.fixture
def alone(case: Case, stack: contextlib.ExitStack) -> Case:
    case.closer = Closer(case.loop, alone=True)
    stack.callback(case.closer.close_all)
    return case


def test_alone_it_closes_as_soon_as_the_peer_has_it_all(
    alone: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    kit.skip_time(alone.loop, monkeypatch)
    looks = iter([100])
    monkeypatch.setattr(SocketEnd, "queued", lambda _: next(looks, 0))
    began = alone.loop.now
    alone.close()
    assert alone.closed() == 0
    assert alone.loop.now - began < 2 * module.TICK_ALONE_SECONDS


class Kept:
    """A viewer that counts the bytes received."""

    def __init__(self) -> None:
        self.received, self.ended = 0, False

    def show(self, *records: Record) -> None:
        for record in records:
            if isinstance(record, Message):
                self.received += len(record.data)
            self.ended |= isinstance(record, Ended) and record.direction == "received"

    def close(self) -> None:
        pass


def looked_at(case: Case) -> tuple[Views, Kept]:
    views, kept = Views(case.loop, lambda _: None, parse_frame("fixed:64").framer), Kept()
    views.add(kept)
    case.end = views.watch(case.end, "tcp", dialled=True)  # type: ignore[assignment]
    return views, kept


@pytest.mark.parametrize("ends", [True, False])
def test_alone_what_has_arrived_by_then_is_shown(ends: bool, alone: Case) -> None:
    _, kept = looked_at(alone)
    alone.peer.sendall(bytes(60_032))
    if ends:
        alone.peer.shutdown(socket.SHUT_WR)
    alone.close()
    assert alone.closed() == 0
    assert kept.received == 60_032
    assert kept.ended is ends


def test_alone_what_has_arrived_waits_for_a_slow_view_but_not_for_ever(
    alone: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    views, kept = looked_at(alone)
    sink, reader = memory_pair(alone.loop)
    alone.peer.sendall(bytes(6400))
    screen = views.show_on(sink, Nothing())
    screen.put(bytes(2 * MAX_WAITING_BYTES))
    alone.close()
    run_for(alone.loop, 0.2)
    assert not alone.undelivered
    while reader.has_bytes():
        reader.read_into(memoryview(bytearray(65536)))
        kit.settle(alone.loop)
    assert alone.closed() == 0
    assert kept.received == 6400


def test_alone_a_view_that_nobody_reads_is_not_waited_for(
    alone: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    views, kept = looked_at(alone)
    alone.peer.sendall(bytes(6400))
    views.show_on(memory_pair(alone.loop)[0], Nothing()).put(bytes(2 * MAX_WAITING_BYTES))
    kit.skip_time(alone.loop, monkeypatch)
    alone.close()
    assert alone.closed() == 0
    assert kept.received == 0


def test_alone_a_peer_that_sends_and_sends_is_not_read_for_ever(
    alone: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_ARRIVED_BYTES", 1000)
    _, kept = looked_at(alone)
    alone.peer.sendall(bytes(60_032))
    alone.close()
    assert alone.closed() == 0
    assert kept.received < 10_000


def test_alone_and_polite_it_gives_the_peer_time_to_end(
    alone: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone.closer = Closer(alone.loop, alone=True, polite=True)
    kit.skip_time(alone.loop, monkeypatch)
    monkeypatch.setattr(SocketEnd, "queued", lambda _: 0)
    began = alone.loop.now
    alone.close()
    assert alone.closed() == 0
    assert alone.loop.now - began >= module.QUIET_SECONDS


def test_alone_a_peer_may_take_as_long_as_it_goes_on(
    alone: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    kit.skip_time(alone.loop, monkeypatch)
    monkeypatch.setattr(module, "TICK_ALONE_SECONDS", 0.5)
    began, lasts = alone.loop.now, 2 * module.MAX_CLOSE_SECONDS
    monkeypatch.setattr(
        SocketEnd, "queued", lambda _: max(0, round(began + lasts - alone.loop.now))
    )
    alone.outbox.put(bytes(1000))
    alone.close()
    assert alone.closed() == 0
    assert alone.loop.now - began > lasts - 2
    assert alone.failure is None


def test_alone_a_peer_that_takes_nothing_is_given_up_and_that_is_said(
    alone: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    kit.skip_time(alone.loop, monkeypatch)
    monkeypatch.setattr(SocketEnd, "queued", lambda _: 100)
    began = alone.loop.now
    alone.outbox.put(bytes(1000))
    alone.close()
    assert alone.closed() > 0
    assert str(alone.failure) == "the peer accepted no data for 10 s"
    assert module.MAX_STALL_SECONDS <= alone.loop.now - began < module.MAX_STALL_SECONDS + 1


def test_alone_a_stop_leaves_the_peer_what_is_on_its_way(alone: Case) -> None:
    alone.outbox.put(MUCH)
    alone.close()
    alone.closer.close_all()
    got = read_all(alone.peer)  # and no reset
    assert MUCH.startswith(got)
    assert len(got) == alone.outbox.bytes_written


def test_closing_now_tells_what_was_not_delivered(case: Case) -> None:
    case.outbox.put(LAST)
    undelivered = case.closer.close(case.end, case.outbox)
    assert 0 < undelivered <= len(LAST)
    assert case.outbox.bytes_written == len(LAST)
