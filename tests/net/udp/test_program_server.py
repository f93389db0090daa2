"""A program for each peer: the server runs on the test's loop, and the test's sockets are peers."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable

import pytest

from sockkit.errors import TextError
from sockkit.events import Event, Failure, NewPeer, PeerForgotten, ProgramEnded, ProgramStarted
from sockkit.net.ends.program_pair import ProgramPair
from sockkit.net.loop import Loop
from sockkit.net.programs import Programs
from sockkit.net.udp import program_server as module
from sockkit.net.udp.program_server import Conversion, DatagramProgramServer
from tests.net import kit
from tests.net.kit import HERE, of_kind
from tests.net.udp.site import Full, bound

loop, stack = kit.loop, kit.stack
pytestmark = pytest.mark.process


class Serving:
    def __init__(
        self,
        loop: Loop,
        stack: contextlib.ExitStack,
        words: tuple[str, ...],
        most: int,
        conversion: Conversion,
    ) -> None:
        self.loop, self._stack = loop, stack
        self.events: list[Event] = []
        context = kit.context(
            loop, emit=self.events.append, environment={"PATH": os.environ["PATH"]}
        )
        self.sock = bound(context, stack)
        self.programs = Programs(context, words)
        self.server = DatagramProgramServer(context, self.sock, self.programs, most, conversion)
        self.server._service.start()
        stack.callback(self._stop)

    def _stop(self) -> None:
        self.loop.call_soon(self.loop.stop)
        self.server.run()

    def peer(self) -> socket.socket:
        sock = self._stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        sock.connect((HERE, self.sock.port))
        sock.setblocking(False)
        return sock

    def hears(self, peer: socket.socket) -> bytes:
        got: list[bytes] = []

        def heard() -> bool:
            with contextlib.suppress(BlockingIOError):
                got.append(peer.recv(70_000))
            return bool(got)

        kit.run_until(self.loop, heard)
        return got[0]

    def told(self, kind: type, count: int = 1) -> list[Event]:
        kit.run_until(self.loop, lambda: len(of_kind(self.events, kind)) >= count)
        return of_kind(self.events, kind)

    def failures(self) -> list[str]:
        return [str(event.text) for event in of_kind(self.events, Failure)]


Serve = Callable[..., Serving]


@pytest.fixture
def serve(loop: Loop, stack: contextlib.ExitStack) -> Serve:
    def serve(
        *words: str,
        most: int = 10,
        conversion: Conversion = Conversion(),  # noqa: B008
    ) -> Serving:
        return Serving(loop, stack, words or ("cat",), most, conversion)

    return serve


def test_each_peer_has_a_program_of_its_own(serve: Serve) -> None:
    serving = serve("/bin/sh", "-c", "echo $$; exec cat")
    one, two = serving.peer(), serving.peer()
    one.send(b"a")
    two.send(b"b")
    mine, others = serving.hears(one), serving.hears(two)
    assert mine != others
    assert serving.hears(one) == b"a"
    assert serving.hears(two) == b"b"
    one.send(b"again")
    assert serving.hears(one) == b"again"
    assert len(of_kind(serving.events, ProgramStarted)) == 2


@pytest.mark.parametrize("size", [1, 1472, 65_507])
def test_a_datagram_stays_whole(size: int, serve: Serve) -> None:
    serving = serve()
    peer = serving.peer()
    peer.send(b"x" * size)
    assert serving.hears(peer) == b"x" * size


def test_many_that_come_at_once_are_not_lost(serve: Serve) -> None:
    serving = serve()
    peer = serving.peer()
    sent = [b"%d" % number for number in range(100)]
    for datagram in sent:
        peer.send(datagram)
    assert [serving.hears(peer) for _ in sent] == sent


def test_an_empty_datagram_is_the_end_of_its_input_and_the_next_starts_another(
    serve: Serve,
) -> None:
    serving = serve()
    peer = serving.peer()
    peer.send(b"")
    serving.told(ProgramEnded)
    peer.send(b"next")
    assert serving.hears(peer) == b"next"
    assert len(of_kind(serving.events, NewPeer)) == 2


def test_what_a_program_wrote_last_is_sent(serve: Serve) -> None:
    serving = serve("/bin/sh", "-c", "for each in 1 2 3; do echo $each; done")
    peer = serving.peer()
    peer.send(b"?")
    assert [serving.hears(peer) for _ in range(3)] == [b"1\n", b"2\n", b"3\n"]


def test_what_it_wrote_last_is_sent_although_the_system_was_full(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = "dd bs=10 count=1 2>&-"
    serving = serve("/bin/sh", "-c", f"{one}; {one}; echo last")
    full = Full(monkeypatch, serving.sock)
    peer = serving.peer()
    peer.send(b"a")
    kit.run_until(serving.loop, lambda: serving.server._service.outbox.waits)
    peer.send(b"b")
    serving.told(ProgramEnded)
    full.off()
    assert [serving.hears(peer) for _ in range(3)] == [b"a", b"b", b"last\n"]


def test_what_waits_for_the_system_is_bounded(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_WAITING_BYTES", 3000)
    one = "dd bs=10 count=1 2>&-"
    many = "for n in 1 2 3 4 5 6 7 8; do head -c 1000 /dev/zero; done"
    serving = serve("/bin/sh", "-c", f"{one}; {one}; {many}")
    full = Full(monkeypatch, serving.sock)
    peer = serving.peer()
    peer.send(b"a")
    kit.run_until(serving.loop, lambda: serving.server._service.outbox.waits)
    peer.send(b"b")
    serving.told(ProgramEnded)
    assert serving.server._service.outbox.size <= 4000
    assert "were dropped: the system accepts no more" in serving.failures()[0]
    full.off()
    assert serving.hears(peer) == b"a"


def test_the_programs_end_is_its_own(serve: Serve) -> None:
    serving = serve()
    peer = serving.peer()
    peer.send(b"a")
    assert serving.hears(peer) == b"a"
    (each,) = serving.server._peers.values()
    assert each.pair.theirs == -1


def test_it_is_told_whose_it_is(serve: Serve) -> None:
    serving = serve("/bin/sh", "-c", "echo $SOCKKIT_PROTO $SOCKKIT_REMOTE_PORT $SOCKKIT_LOCAL_PORT")
    peer = serving.peer()
    peer.send(b"?")
    told = serving.hears(peer).decode().split()
    assert told == ["udp", str(peer.getsockname()[1]), str(serving.sock.port)]


def test_the_longest_silent_makes_place(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT_SECONDS", 0)
    serving = serve(most=2)
    one, two, three = (serving.peer() for _ in range(3))
    for peer in (one, two, one):
        peer.send(b"a")
        assert serving.hears(peer) == b"a"
    three.send(b"c")
    assert serving.hears(three) == b"c"
    (gone,) = of_kind(serving.events, PeerForgotten)
    assert gone.peer.number == 2
    one.send(b"still")
    assert serving.hears(one) == b"still"
    assert len(of_kind(serving.events, ProgramStarted)) == 3


def test_nobody_makes_place_at_once(serve: Serve) -> None:
    serving = serve(most=1)
    one, two = serving.peer(), serving.peer()
    one.send(b"a")
    assert serving.hears(one) == b"a"
    two.send(b"b")
    serving.told(Failure)
    assert "1 programs run for other peers (--max-connections)" in serving.failures()[0]
    one.send(b"a")
    assert serving.hears(one) == b"a"


def test_a_new_one_waits_for_a_place(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that does not end when it is told to keeps its place until it is killed."""
    monkeypatch.setattr(module, "KEPT_SECONDS", 0)
    serving = serve("/bin/sh", "-c", "trap '' TERM; echo ready; cat", most=1)
    one, two = serving.peer(), serving.peer()
    one.send(b"a")
    assert [serving.hears(one) for _ in range(2)] == [b"ready\n", b"a"]
    two.send(b"b")
    serving.told(PeerForgotten)
    assert serving.hears(two) == b"ready\n"
    assert len(serving.programs) == 1
    assert serving.hears(two) == b"b"  # kept for it meanwhile


def test_a_program_that_does_not_read_loses_what_comes(serve: Serve) -> None:
    serving = serve("sleep", "60")
    peer = serving.peer()
    peer.send(b"first")
    serving.told(ProgramStarted)
    for _ in range(2000):
        peer.send(b"x" * 1000)
        kit.run_until(serving.loop, lambda: True)
    serving.told(Failure)
    assert "the program reads too slowly" in serving.failures()[0]


def test_while_the_system_accepts_nothing_the_programs_wait(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    serving = serve("/bin/sh", "-c", "while true; do echo x; done")
    full = Full(monkeypatch, serving.sock)
    peer = serving.peer()
    reads: list[int] = []
    real = ProgramPair.read_into

    def read_into(pair: ProgramPair, buffer: memoryview) -> int:
        reads.append(1)
        return real(pair, buffer)

    monkeypatch.setattr(ProgramPair, "read_into", read_into)
    peer.send(b"?")
    serving.told(ProgramStarted)
    kit.run_until(serving.loop, lambda: bool(reads))
    before = len(reads)
    kit.run_for(serving.loop, 0.05)
    assert len(reads) <= max(before, module.MAX_READS_PER_TURN)
    full.off()
    for _ in range(3 * module.MAX_READS_PER_TURN):
        assert serving.hears(peer) == b"x\n"


def test_both_directions_are_converted_by_datagram(serve: Serve) -> None:
    def refuse(datagram: bytes) -> bytes:
        if b"bad" in datagram:
            raise TextError("no such text")
        return datagram.upper()

    serving = serve(conversion=Conversion(refuse, lambda datagram: b"<%s>" % datagram))
    peer = serving.peer()
    peer.send(b"bad")
    peer.send(b"good")
    assert serving.hears(peer) == b"<GOOD>"
    assert serving.failures() == [
        f"a datagram from {HERE}:{peer.getsockname()[1]} did not reach its program: no such text"
    ]
    (failure,) = of_kind(serving.events, Failure)
    assert "no such text" not in failure.kind  # a peer could make any number of kinds


def test_what_a_program_writes_that_cannot_be_converted_is_told(serve: Serve) -> None:
    def refuse(_: bytes) -> bytes:
        raise TextError("no such text")

    serving = serve(conversion=Conversion(outbound=refuse))
    peer = serving.peer()
    peer.send(b"x")
    serving.told(Failure)
    assert "was not sent: no such text" in serving.failures()[0]


def test_a_program_that_cannot_be_started_is_told(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    serving = serve()
    monkeypatch.setattr(serving.programs, "_path", "/nonexistent")
    peer = serving.peer()
    peer.send(b"x")
    serving.told(Failure)
    assert "could not start cat" in serving.failures()[0]
    assert not serving.server._peers


def test_no_program_is_started_for_a_forged_address(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    serving = serve()
    monkeypatch.setattr(serving.server._service, "answerable", lambda _: False)
    serving.peer().send(b"x")
    kit.run_for(serving.loop, 0.05)
    assert not of_kind(serving.events, NewPeer)


def test_the_end_of_the_server_is_the_end_of_all(loop: Loop) -> None:
    with contextlib.ExitStack() as stack:
        serving = Serving(loop, stack, ("cat",), 10, Conversion())
        for _ in range(3):
            peer = serving.peer()
            peer.send(b"a")
            assert serving.hears(peer) == b"a"
        assert len(serving.programs) == 3
    assert len(serving.programs) == 0
