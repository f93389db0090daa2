"""A close that waits until the peer has what was written, and what a peer can cost by it."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable

import pytest

from sockkit.net import closing as module
from sockkit.net.closing import Closings, close_now
from sockkit.net.ends.socket_end import Stream
from sockkit.net.loop import Loop
from sockkit.net.outbox import Outbox
from tests.net import kit
from tests.net.kit import noise, run_for, run_until
from tests.support import reset

loop, stack = kit.loop, kit.stack

LAST = noise(300_000)  # the system takes it, and a peer that does not read only part of it
MUCH = noise(20_000_000)  # more than both take


class Case:
    """A connection with its outbox, and the peer's end of it."""

    def __init__(self, loop: Loop, stack: contextlib.ExitStack) -> None:
        ours, theirs = kit.tcp_pair()
        theirs.settimeout(kit.WAIT)
        self.loop, self.peer = loop, stack.enter_context(theirs)
        self.stream = Stream(ours, kit.PEER, lambda _: None)
        self.outbox = Outbox(loop, self.stream, on_empty=lambda: None, on_fail=lambda _: None)
        self.closings = Closings(loop)
        stack.callback(self.stream.close)
        stack.callback(self.closings.stop)
        self.left: list[int] = []
        self.reset = False

    def close(self) -> None:
        self.closings.add(self.stream, self.outbox, self._closed)

    def _closed(self, left: int, reset: bool) -> None:
        self.left.append(left)
        self.reset = reset

    def closed(self) -> int:
        """Wait until it is; how much was not acknowledged."""
        run_until(self.loop, lambda: bool(self.left))
        assert len(self.closings) == 0
        (left,) = self.left
        return left


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
    monkeypatch.setattr(module, "QUIET", 1000.0)
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
    run_until(case.loop, lambda: case.stream.undelivered() == 0)
    case.close()
    assert case.left == [0]
    assert case.peer.recv(9) == b""


def test_a_peer_that_closes_ends_it(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STALL", 1000.0)
    monkeypatch.setattr(module, "QUIET", 1000.0)
    case.close()
    assert case.peer.recv(9) == b""
    case.peer.close()
    assert case.closed() == 0


@pytest.mark.parametrize("ended", [False, True])
def test_a_peer_that_resets_ends_it(
    ended: bool, case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STALL", 1000.0)
    case.outbox.put(LAST)
    if ended:
        case.peer.shutdown(socket.SHUT_WR)
    case.close()
    run_for(case.loop, 0.1)
    reset(case.peer)
    assert case.closed() > 0
    assert case.reset


def test_a_silent_peer_is_let_go_soon(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STALL", 1000.0)
    monkeypatch.setattr(module, "CHATTER", 1000.0)
    monkeypatch.setattr(module, "QUIET", 0.05)
    case.close()
    assert case.closed() == 0
    assert case.peer.recv(9) == b""


@pytest.mark.parametrize("bound", ["STALL", "DROPPED", "LONGEST"])
def test_a_peer_that_takes_nothing_is_waited_for_so_long(
    bound: str, case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("STALL", "DROPPED", "LONGEST"):
        monkeypatch.setattr(module, name, 0.1 if name == bound else 1000.0)
    case.outbox.put(LAST if bound != "DROPPED" else MUCH)
    if bound == "DROPPED":
        case.outbox.stop()
    case.close()
    left = case.closed()
    assert not case.reset
    if bound == "DROPPED":
        with pytest.raises(ConnectionResetError):
            read_all(case.peer)
        return
    assert len(read_all(case.peer)) >= len(LAST) - left  # the system goes on with what it can


def test_a_peer_that_did_not_get_all_gets_a_reset(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "QUIET", 0.05)
    case.outbox.put(MUCH)
    case.outbox.stop()
    given = case.outbox.given
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
    case.closings.add(case.stream, case.outbox, lambda *_: case.loop.stop())
    case.loop.run()
    assert least < case.loop.now - began < most


@pytest.mark.parametrize("count", [1, 8])
def test_floods_cost_bounded_reading(
    count: int, loop: Loop, stack: contextlib.ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many send on and on."""
    most = 200_000_000  # bytes: 2 s of what a peer alone may make us read, and more
    read = 0

    def flood(_: Stream, buffer: memoryview) -> int:
        nonlocal read
        read += len(buffer)
        assert read < most
        return len(buffer)

    kit.skip_time(loop, monkeypatch)
    monkeypatch.setattr(Stream, "read_into", flood)
    monkeypatch.setattr(Stream, "queued", lambda _: 0)  # an acknowledgement takes real time
    closings = Closings(loop)
    for case in [Case(loop, stack) for _ in range(count)]:
        case.peer.send(b"x")  # which stays there
        closings.add(case.stream, case.outbox, lambda *_: loop.stop())
    loop.run()
    closings.stop()
    assert read > 1_000_000


def test_all_are_closed_side_by_side(
    loop: Loop, stack: contextlib.ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    kit.skip_time(loop, monkeypatch)
    closings = Closings(loop)
    cases = [Case(loop, stack) for _ in range(20)]
    for case in cases:
        case.closings = closings
        case.outbox.put(LAST)
        case.close()
    began = loop.now
    run_until(loop, lambda: len(closings) == 0)
    assert loop.now - began < 2 * module.STALL
    assert all(case.left and case.left[0] > 0 for case in cases)


def test_a_newcomer_finds_room(loop: Loop, stack: contextlib.ExitStack) -> None:
    """Those that are let go cost descriptors: the first of too many is closed at once."""
    closings = Closings(loop)
    cases = [Case(loop, stack) for _ in range(150)]
    for case in cases:
        case.closings = closings
        closings.make_room()
        case.close()
    kept = len(closings)
    assert 50 < kept < 140
    assert [case.left for case in cases] == [[0]] * (150 - kept) + [[]] * kept
    closings.stop()
    assert all(case.left == [0] for case in cases)


def test_closing_now_tells_what_was_not_delivered(case: Case) -> None:
    case.outbox.put(LAST)
    left = close_now(case.loop, case.stream, case.outbox)
    assert 0 < left <= len(LAST)
    assert case.outbox.given == len(LAST)
