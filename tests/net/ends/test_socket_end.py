"""What a socket does beyond what every end promises (test_end.py)."""

from __future__ import annotations

import fcntl
import os
import socket

import pytest

from sockkit.core.address import HostPort
from sockkit.errors import ReceiveError, SendError, SockkitError
from sockkit.events import Event, SocketCall
from sockkit.net.ends import socket_end
from sockkit.net.ends.end import Kind
from sockkit.net.ends.socket_end import SocketEnd
from tests.net import kit as net_kit
from tests.net.ends import kit
from tests.net.ends.kit import Make
from tests.net.kit import Stack
from tests.support import eventually, reset

loop, stack, make = net_kit.loop, net_kit.stack, kit.make


def test_what_came_before_a_reset_is_received(make: Make) -> None:
    """Linux keeps it; RFC 9293 does not ask for that."""
    case = make("tcp")
    case.far.write(b"four")
    case.until_readable()
    case.far.reset()
    assert case.drain(4) == b"four"
    with pytest.raises(ReceiveError, match="there:1 failed: connection reset"):
        case.drain()
    case.end.when_readable(None)


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_each_call_that_ends_it_is_told(kind: str, stack: Stack) -> None:
    events: list[Event] = []
    end = net_kit.stream_end(kind, stack, emit=events.append).end
    end.half_close()
    end.close()
    assert events == [
        SocketCall("shutdown", "the sending side to there:1", end.peer),
        SocketCall("close", "the connection to there:1", end.peer),
    ]


@pytest.mark.parametrize("kind", ["tcp", "unix"])
@pytest.mark.parametrize("call", ["half_close", "close"])
def test_it_tells_who_was_the_first_to_end(kind: str, call: str, stack: Stack) -> None:
    """Even if what the peer sent before it ended is not read yet."""
    events: list[SocketCall] = []
    made = net_kit.stream_end(kind, stack, emit=events.append)
    made.far.give(b"unread")
    made.far.close()
    getattr(made.end, call)()
    assert [event.peer_first for event in events] == [True]


@pytest.mark.parametrize("unread", [True, False])
def test_it_tells_whether_bytes_are_unread(unread: bool, stack: Stack) -> None:
    events: list[SocketCall] = []
    made = net_kit.stream_end("tcp", stack, emit=events.append)
    if unread:
        made.far.give(b"unread")
    made.far.close()
    made.end.close()
    assert [event.unread for event in events] == [unread]


def test_the_end_counts_as_queued_and_not_as_undelivered(make: Make) -> None:
    """A FIN is acknowledged as one byte is."""
    case = make("tcp")
    case.fill()
    eventually(lambda: case.end.undelivered() > 0)
    before = case.end.undelivered()
    case.end.half_close()
    assert case.end.undelivered() <= before
    assert case.end.queued() == case.end.undelivered() + 1


def test_what_a_unix_socket_has_accepted_is_with_the_peer(make: Make) -> None:
    case = make("unix")
    assert case.fill() > 0
    assert case.end.queued() > 0
    assert case.end.undelivered() == 0
    assert case.end.undelivered(case.end.queued()) == 0


def test_it_is_told_of_a_unix_peer_that_closed_with_bytes_unread(make: Make) -> None:
    case = make("unix")
    case.end.write(b"never read")
    case.far.close()
    with pytest.raises(ReceiveError, match="connection reset"):
        case.drain()
    case.end.when_readable(None)


def test_it_never_blocks(loop: net_kit.Loop) -> None:
    ours, theirs = net_kit.tcp_pair()
    with theirs:
        end = SocketEnd(loop, ours, net_kit.PEER, lambda _: None)
        assert end.peer == net_kit.PEER
        assert end.kind is Kind.SOCKET
        assert fcntl.fcntl(end.descriptor, fcntl.F_GETFL) & os.O_NONBLOCK
        end.close()
        assert ours.fileno() == -1


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_abort_is_a_reset(family: int, loop: net_kit.Loop) -> None:
    host = "::1" if family == socket.AF_INET6 else "127.0.0.1"
    ours, theirs = net_kit.tcp_pair(family, host)
    with theirs:
        SocketEnd(loop, ours, net_kit.PEER, lambda _: None).abort()
        with pytest.raises(ConnectionResetError):
            theirs.recv(1)
        assert ours.fileno() == -1


@pytest.mark.parametrize("closes", [True, False])
def test_a_regular_end_may_need_a_close(closes: bool, loop: net_kit.Loop) -> None:
    """Otherwise the system closes the socket, as that of a process that was killed."""
    ours, theirs = net_kit.tcp_pair(socket.AF_INET, "127.0.0.1")
    with theirs:
        end = SocketEnd(loop, ours, net_kit.PEER, lambda _: None)
        end.reset_unless_closed()
        (end if closes else ours).close()
        if closes:
            assert theirs.recv(1) == b""
        else:
            with pytest.raises(ConnectionResetError):
                theirs.recv(1)


# While a program has it.


def lent(case: kit.Case) -> tuple[int, list[SockkitError | None]]:
    told: list[SockkitError | None] = []
    return case.end.lend(told.append), told


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_a_socket_that_is_lent_blocks_and_is_taken_back_as_it_was(kind: str, make: Make) -> None:
    case = make(kind)
    descriptor, told = lent(case)
    assert os.get_blocking(descriptor)
    case.far.write(b"x")
    case.far.end()
    net_kit.run_for(case.loop, 0.05)
    assert told == []  # the peer's end is the program's to read
    case.end.take_back()
    assert not os.get_blocking(descriptor)
    assert case.drain(1) == b"x"


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_a_reset_is_told_once_to_whoever_has_lent_it(kind: str, make: Make) -> None:
    case = make(kind)
    _, told = lent(case)
    case.end._socket.send(b"unread")
    case.far.reset()
    net_kit.run_until(case.loop, lambda: bool(told))
    net_kit.settle(case.loop)
    (error,) = told
    assert isinstance(error, ReceiveError)
    assert "there:1 failed: connection reset" in str(error)
    with pytest.raises(ConnectionResetError):  # the program is told, too
        os.read(case.end.descriptor, 1)
    case.end.take_back()


def test_a_reset_that_the_program_has_met_is_an_end(make: Make) -> None:
    case = make("tcp")
    _, told = lent(case)
    case.end._socket.send(b"unread")
    case.far.reset()
    with pytest.raises(ConnectionResetError):
        case.end._socket.recv(1)
    net_kit.run_until(case.loop, lambda: bool(told))
    assert told == [None]
    case.end.take_back()


def test_a_reset_that_the_program_has_met_is_a_failure_if_bytes_are_lost(make: Make) -> None:
    case = make("tcp")
    _, told = lent(case)
    net_kit.fill(case.end.descriptor)
    case.far.reset()
    with pytest.raises(ConnectionResetError):
        case.end._socket.recv(1)
    net_kit.run_until(case.loop, lambda: bool(told))
    case.end.take_back()
    assert case.end.undelivered()
    assert isinstance(case.end.failure(), SendError)
    assert case.end.failure() is None  # it is told once


def test_the_end_of_both_sides_is_told_and_is_no_error(make: Make) -> None:
    case = make("tcp")
    _, told = lent(case)
    case.end._socket.shutdown(socket.SHUT_WR)
    case.far.end()
    net_kit.run_until(case.loop, lambda: bool(told))
    assert told == [None]
    case.end.take_back()


def test_a_unix_peer_that_has_closed_may_have_sent_something(make: Make) -> None:
    """Such a socket is hung up at once, and what the peer has sent is still to be read."""
    case = make("unix")
    _, told = lent(case)
    case.far.write(b"x")
    case.far.close()
    net_kit.run_for(case.loop, 0.05)
    assert told == []
    case.end.take_back()
    assert case.drain(1) == b"x"


def test_a_socket_knows_its_own_address(make: Make) -> None:
    case = make("tcp")
    assert case.end.local() == HostPort(*case.end._socket.getsockname())
    assert make("unix").end.local() is None


# Bulk.


def test_a_connection_from_an_address_to_itself_is_local(make: Make, stack: Stack) -> None:
    assert make("tcp").end.is_local()
    assert not make("unix").end.is_local()
    made = net_kit.stream_end("tcp", stack)
    reset(socket.socket(fileno=os.dup(made.far.descriptor)))
    made.far.close()
    assert not made.end.is_local()


def test_a_queue_stays_as_it_is_where_the_system_does_not_tell_who_set_it(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket_end, "_SO_BUF_LOCK", 9999)
    end = make("tcp").end
    before = end._socket.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
    end.limit_queue(before // 2)
    assert end._socket.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) == before
