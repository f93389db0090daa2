"""Starts a program for each peer of a datagram socket.

The program's standard input and output are one side of a pair of datagram sockets, socketpair(2):
each read returns one datagram of the peer, and each write sends one to the peer. So most programs
take an empty datagram for the end of their input. UDP does not show that a peer has ended. A
program ends by itself, or it is ended when another peer needs one and its peer has been silent for
longest.

What a peer can cost is bounded. There are at most `most` peers. A program is not ended within
KEPT_SECONDS of its peer's last datagram, so a flood of forged addresses starts at most `most`
programs in that time. Only one program starts per turn of the loop. If a program does not read,
datagrams are lost once its socket is full, as for any UDP receiver. If the system does not accept
the datagrams of a program, the program blocks in its write.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sockkit.core.programs import connection_facts
from sockkit.errors import ReceiveError, SendError, SockkitError, TextError
from sockkit.events import (
    Failure,
    NewPeer,
    Peer,
    PeerForgotten,
    ProgramEnded,
    ProgramStarted,
)
from sockkit.net.context import Context
from sockkit.net.endpoint import show_address, to_address
from sockkit.net.ends.program_pair import ProgramPair
from sockkit.net.programs import Program, Programs
from sockkit.net.udp.datagrams import MAX_RECEIVE_BYTES, DatagramSocket, Received
from sockkit.net.udp.service import DatagramService
from sockkit.values import Value

KEPT_SECONDS = 5.0  # a silent peer keeps its program for so long, even if other peers wait
MAX_READS_PER_TURN = 64  # of one program's datagrams; then the loop serves others
MAX_LAST_READS = 4096  # after a program has exited; others of its group may write on
MAX_WAITING_BYTES = 1024 * 1024  # from all programs, while the system accepts no datagrams

Convert = Callable[[bytes], bytes]  # raises TextError


class Conversion(Value):
    """How the datagrams of a peer and of its program are converted, each by itself."""

    inbound: Convert = bytes
    outbound: Convert = bytes


class PeerProgram:
    """One peer, and its program once that has started."""

    def __init__(self, address: Any, peer: Peer, pair: ProgramPair) -> None:
        self.address, self.peer, self.pair = address, peer, pair
        self.heard_at = 0.0
        self.program: Program | None = None


class DatagramProgramServer:
    """Owns neither `sock` nor `programs`. At most `most` peers have a program at a time."""

    def __init__(
        self,
        context: Context,
        sock: DatagramSocket,
        programs: Programs,
        most: int,
        conversion: Conversion = Conversion(),  # noqa: B008
    ) -> None:
        self._loop, self._emit = context.loop, context.emit
        self._local, self._programs, self._most = to_address(sock.bound_to), programs, most
        self._conversion = conversion
        self._service = DatagramService(
            context, sock, self._received, max_waiting=MAX_WAITING_BYTES, on_sent=self._listen
        )
        self._peers: dict[Any, PeerProgram] = {}  # the longest silent first
        self._waiting: dict[Any, PeerProgram] = {}  # those whose program has not started yet
        self._buffer = memoryview(bytearray(MAX_RECEIVE_BYTES))
        self._count = 0

    def run(self) -> None:
        """Serve until a signal raises Stopped."""
        try:
            self._service.start()
            self._loop.run()
        finally:
            self._service.stop()
            for each in list(self._peers.values()):
                self._drop(each)
            self._programs.close()

    # From the peers to the programs.

    def _received(self, got: Received) -> None:
        if not self._service.answerable(got):
            return
        try:
            each = self._peers.pop(got.address, None) or self._new(got.address)
        except SockkitError as error:
            self._service.failed(error)
            return
        self._peers[got.address] = each
        each.heard_at = self._loop.now
        if got.cut:
            self._emit(Failure(got.problem(each.peer.address), "a datagram was truncated"))
        for datagram in got.datagrams():
            self._pass_on(each, datagram)

    def _new(self, address: Any) -> PeerProgram:
        """Add a peer. If there are too many, it replaces the one that is silent for longest."""
        shown = show_address(address)
        if len(self._peers) >= self._most:
            oldest = next(iter(self._peers.values()))
            if self._loop.now - oldest.heard_at < KEPT_SECONDS:
                told = f"{self._most} programs run for other peers (--max-connections)"
                raise SendError(f"a datagram from {shown} was dropped: {told}", kind=told)
            self._emit(PeerForgotten(oldest.peer))
            self._drop(oldest)
        each = PeerProgram(address, Peer(self._count + 1, shown), ProgramPair(self._loop))
        self._count += 1
        self._emit(NewPeer(each.peer))
        if not self._waiting:
            self._loop.call_soon(self._start_next)
        self._waiting[address] = each
        return each

    def _pass_on(self, each: PeerProgram, datagram: bytes) -> None:
        try:
            each.pair.write(self._conversion.inbound(datagram))
        except BlockingIOError:
            self._lost(each, "the program reads too slowly")
        except SockkitError as error:
            self._lost(each, str(error), error.kind)

    def _lost(self, each: PeerProgram, why: str, kind: str = "") -> None:
        told = f"a datagram from {each.peer.address} did not reach its program: {why}"
        self._emit(Failure(told, f"a datagram did not reach its program: {kind or why}"))

    # The programs.

    def _start_next(self) -> None:
        """Start the program of the first peer that waits, if one more may run."""
        address, each = next(iter(self._waiting.items()), (None, None))
        if not each or len(self._programs) >= self._most:  # called again when one is gone
            return
        del self._waiting[address]
        self._start(each)
        if self._waiting:
            self._loop.call_soon(self._start_next)

    def _start(self, each: PeerProgram) -> None:
        facts = connection_facts(to_address(each.address), self._local, "udp")
        theirs = each.pair.theirs
        try:
            each.program = self._programs.start(
                theirs, theirs, facts, lambda program: self._exited(each, program)
            )
        except SockkitError as error:
            self._service.failed(error)
            self._drop(each)
            return
        each.program.when_gone(self._start_next)
        each.pair.release()
        name, number = self._programs.name, each.program.number
        self._emit(ProgramStarted(each.peer, name, number, "a pair of datagram sockets"))
        self._read_when_ready(each)

    def _exited(self, each: PeerProgram, program: Program) -> None:
        assert program.code is not None
        self._emit(ProgramEnded(each.peer, self._programs.name, program.code, program.crashed))
        if self._peers.get(each.address) is each:
            self._send(each, MAX_LAST_READS)  # what it wrote last
            if self._service.outbox.size >= MAX_WAITING_BYTES:
                told = f"datagrams for {each.peer.address} were dropped: the system accepts no more"
                self._emit(Failure(told, "datagrams were dropped: the system accepts no more"))
            self._drop(each)

    def _drop(self, each: PeerProgram) -> None:
        """Forget the peer, and end its program."""
        if self._peers.get(each.address) is each:
            del self._peers[each.address]
        self._waiting.pop(each.address, None)
        each.pair.close()
        if each.program:
            each.program.end()

    # From the programs to the peers.

    def _listen(self) -> None:
        """All answers have been sent: read the programs again."""
        for each in self._peers.values():
            if each.program:
                self._read_when_ready(each)

    def _read_when_ready(self, each: PeerProgram) -> None:
        each.pair.when_readable(lambda: self._read(each))

    def _read(self, each: PeerProgram) -> None:
        """Send what the program has written. While datagrams wait for the system, read no more."""
        if self._service.outbox.waits:
            each.pair.when_readable(None)
        else:
            self._send(each, MAX_READS_PER_TURN)

    def _send(self, each: PeerProgram, most: int) -> None:
        """Send at most `most` datagrams, and none if MAX_WAITING_BYTES wait already."""
        for _ in range(most):
            if self._service.outbox.size >= MAX_WAITING_BYTES:
                return
            try:
                size = each.pair.read_into(self._buffer)
                datagram = self._conversion.outbound(bytes(self._buffer[:size]))
            except (BlockingIOError, ReceiveError):  # there is nothing more, now or at all
                return
            except TextError as error:
                told = f"a datagram for {each.peer.address} was not sent: {error}"
                self._emit(Failure(told, "a datagram could not be converted"))
            else:
                self._service.send(datagram, each.address)
