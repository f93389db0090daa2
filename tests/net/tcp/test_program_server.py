"""One connection for one program, and a server of many, in this process."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable

import pytest

from sockkit.core.address import HostPort
from sockkit.core.ending import EndOptions
from sockkit.errors import ProgramFailed, ReceiveError, Stopped, TimedOut
from sockkit.events import Closed, Event, Peer
from sockkit.net.ends.socket_end import SocketEnd
from sockkit.net.join import JoinOptions
from sockkit.net.loop import Loop
from sockkit.net.programs import Programs
from sockkit.net.tcp.listen import ListenOptions
from sockkit.net.tcp.program_server import ProgramServer, run_one
from tests.net import kit
from tests.support import HERE, connect, read_all, reset

loop = kit.loop
pytestmark = pytest.mark.process

Join = Callable[[], JoinOptions] | None
ways = pytest.mark.parametrize("join", [None, lambda: JoinOptions(EndOptions(patient=True))])


def programs(loop: Loop, text: str, events: list[Event]) -> tuple[kit.Context, Programs]:
    context = kit.context(loop, emit=events.append, environment={"PATH": os.environ["PATH"]})
    return context, Programs(context, ("/bin/sh", "-c", text))


def one(loop: Loop, text: str, join: Join, play: Callable[[socket.socket], None]) -> None:
    """Run it with a peer that plays in a thread."""
    ours, theirs = kit.tcp_pair()
    context, found = programs(loop, text, [])
    thread = threading.Thread(target=play, args=(theirs,))
    thread.start()
    try:
        run_one(context, SocketEnd(loop, ours, Peer(0, "there:1"), lambda _: None), found, join)
    finally:
        thread.join(kit.WAIT)
        theirs.close()
        assert len(found) == 0


def take(sock: socket.socket) -> None:
    sock.shutdown(socket.SHUT_WR)
    assert read_all(sock) == b"hello\n"


@ways
def test_one_that_succeeds_returns(join: Join, loop: Loop) -> None:
    one(loop, "echo hello", join, take)


@ways
@pytest.mark.parametrize(("text", "status"), [("exit 3", 3), ("kill -9 $$", 137)])
def test_the_status_of_one_that_fails_is_an_error(
    text: str, status: int, join: Join, loop: Loop
) -> None:
    with pytest.raises(ProgramFailed) as failed:
        one(loop, f"echo hello; {text}", join, take)
    assert failed.value.status == status


@ways
def test_an_error_of_the_connection_comes_before_the_status(join: Join, loop: Loop) -> None:
    def play(sock: socket.socket) -> None:
        sock.recv(1)
        reset(sock)

    with pytest.raises(ReceiveError) as failed:
        one(loop, "echo x; exec sleep 60", join, play)
    assert ("sent 2 bytes, received 0 bytes" in str(failed.value)) == bool(join)


def test_an_idle_connection_is_an_error(loop: Loop) -> None:
    with pytest.raises(TimedOut):
        one(loop, "cat", lambda: JoinOptions(EndOptions(idle=0.1)), read_all)


@ways
def test_a_signal_ends_a_server_and_all_its_programs(join: Join, loop: Loop) -> None:
    events: list[Event] = []
    context, found = programs(loop, "echo x; exec sleep 60", events)
    options = ListenOptions(HostPort(HERE, 0), max_connections=2)
    listener = kit.listening(loop, options, emit=events.append)
    assert listener.port
    port = listener.port

    def play() -> None:
        for _ in range(3):  # no more than two at once, so the places are given back
            with connect(port) as first, connect(port) as second:
                assert first.recv(2) == second.recv(2) == b"x\n"
                for sock in (first, second):
                    reset(sock)
            done = threading.Event()
            look(done)
            assert done.wait(kit.WAIT)
        loop.call_soon(stop)

    def look(done: threading.Event) -> None:
        """Set `done` once no program is left, which the loop's thread knows."""

        def check() -> None:
            if len(found):
                loop.later(0.01, check)
            else:
                loop.later(0.05, done.set)

        loop.call_soon(check)

    def stop() -> None:
        raise Stopped(15)

    thread = threading.Thread(target=play)
    thread.start()
    with pytest.raises(Stopped):
        ProgramServer(context, listener, found, join).run()
    thread.join(kit.WAIT)
    assert len(found) == 0
    closed = kit.of_kind(events, Closed)
    assert len(closed) == 6
    assert all("reset" in event.problem and event.kind and not event.lost for event in closed)
