"""The relay over UDP: each peer has a socket of its own, connected to the target.

What that socket receives goes to its peer alone. UDP does not show that a peer has gone. So a peer
times out when both sides are silent, and if there are too many peers, the longest silent one is
forgotten. A peer costs a descriptor and two bounded queues; all share one buffer.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from sockkit.errors import ConnectError, SendError, SockkitError
from sockkit.events import Closed, Failure, FaultInjected, NewPeer, Peer, PeerForgotten, Unanswered
from sockkit.net.context import Context
from sockkit.net.endpoint import show_address
from sockkit.net.loop import Timer
from sockkit.net.relay.datagram_way import Way, WayOptions
from sockkit.net.relay.loop_guard import LoopGuard, host
from sockkit.net.relay.udp_target import Target
from sockkit.net.udp.datagrams import DatagramOutbox, DatagramSocket, Received
from sockkit.net.udp.service import DatagramService
from sockkit.values import Value

MAX_WAITING_BYTES = 1024 * 1024  # for one receiver, while its socket is full; more is dropped
MAX_WAITING = 4096  # batches that wait for one receiver, because empty datagrams have no bytes


class RelayOptions(Value):
    """At most `most` peers. Each times out after `idle` seconds of silence."""

    sent: WayOptions
    received: WayOptions
    most: int
    idle: float


class RelayedPeer:
    """A peer, its socket to the target, and a Way for each direction.

    Until the target answers, the last datagrams of the peer are kept, to send them to another of
    the target's addresses, at most `tries` times.
    """

    def __init__(
        self,
        address: Any,
        peer: Peer,
        sock: DatagramSocket,
        options: RelayOptions,
        service: DatagramService,
        on_fail: Callable[[RelayedPeer, DatagramSocket, SockkitError], None],
    ) -> None:
        self.address, self.peer, self.sock = address, peer, sock
        self.began_at = self.active_at = options.sent.loop.now
        self.answered = self.suspect = False  # suspect: it may be a relay that is aimed at us
        self.tries = 0
        self._kept: tuple[bytes, int] | None = None
        soon = options.sent.loop.call_soon
        self._outbox = DatagramOutbox(
            sock,
            on_empty=lambda: None,
            on_fail=lambda error: soon(partial(on_fail, self, self.sock, error)),
        )
        self._service = service
        back = partial(self._put, service.outbox, address)
        self.sent = Way(options.sent, peer, self._send, partial(self._tell, options.sent))
        self.received = Way(options.received, peer, back, partial(self._tell, options.received))

    def use(self, sock: DatagramSocket) -> None:
        """Replace the socket by `sock`, and resend the datagrams that are kept."""
        self._outbox.use(sock)
        self._close()
        self.sock = sock
        self.tries -= 1
        if self._kept:
            self._outbox.put(*self._kept)

    def close(self) -> None:
        self.sent.stop()
        self.received.stop()
        if self._outbox.count:
            told = "lost datagrams: they were not sent to the target before their peer timed out"
            self._service.failed(SendError(told, kind=told))
        self._outbox.stop()
        self._close()

    def _close(self) -> None:
        if self.sock.tap:
            self.sock.tap.closed()
        self.sock.close()

    def _tell(self, way: WayOptions, fault: str, detail: str) -> None:
        way.emit(FaultInjected(self.peer, way.direction, fault, 0, detail))
        if self.sock.tap:
            self.sock.tap.disturbed(fault, way.direction, detail)

    def _send(self, data: bytes | memoryview, size: int) -> None:
        if self.tries and not self.answered:
            self._kept = bytes(data), size
        self._put(self._outbox, None, data, size)

    def _put(self, outbox: DatagramOutbox, to: Any, data: bytes | memoryview, size: int) -> None:
        """Send it, or queue it up to a limit. A slow receiver delays nobody else."""
        if outbox.size < MAX_WAITING_BYTES and outbox.count < MAX_WAITING:
            outbox.put(data, size, to)
            return
        where = self.peer.address if to else "the target"
        told = "lost datagrams: the system does not accept them as fast as they come"
        self._service.failed(SendError(f"{told}, for {where}", kind=told))


class DatagramRelay:
    """Owns the sockets of its peers, but not `sock`, which receives from them."""

    def __init__(
        self, context: Context, sock: DatagramSocket, target: Target, options: RelayOptions
    ) -> None:
        self._context, self._loop, self._emit = context, context.loop, context.emit
        self._target, self._options = target, options
        self._service = DatagramService(
            context, sock, self._heard, max_waiting=2 * MAX_WAITING_BYTES
        )
        self._pause = partial(sock.when_readable, None)
        self._peers: dict[Any, RelayedPeer] = {}  # the longest silent first
        self._ours: set[str] = set()  # the addresses of their sockets
        self._guard = LoopGuard(context.loop)
        self._count = 0
        self._timer: Timer | None = None

    def run(self) -> None:
        """Relay until a signal raises Stopped."""
        try:
            self._service.start()
            self._loop.run()
        finally:
            self._service.stop()
            for each in list(self._peers.values()):
                self._drop(each)

    # From the peers to the target.

    def _heard(self, got: Received) -> None:
        try:
            each = self._peers.get(got.address) or self._new(got)
        except SockkitError as error:
            self._service.failed(error)
            return
        if not each:
            return
        copies = each.suspect and not each.answered and self._guard.suspects(got)
        if copies and not self._guard.admits_copies(got):
            self._break_circle(got, each.peer.address)
            return
        self._moved(each)
        each.tries = self._target.others
        if not each.answered:
            self._guard.heard(got)
        if got.cut:
            self._emit(Failure(got.problem(each.peer.address), "a datagram was truncated"))
        each.sent.pass_on(got)
        views = self._context.views
        if views and views.full:
            self._pause()
            views.when_room(self._service.start)

    def _new(self, got: Received) -> RelayedPeer | None:
        """A new peer; if there are too many, the longest silent one is forgotten.

        None if the datagram must not be relayed: anybody can forge the address of a sender, and a
        datagram must not go round.
        """
        if not self._service.answerable(got):
            return None
        shown = show_address(got.address)
        if self._target.is_at(shown) or shown in self._ours:
            self._emit(Unanswered(shown, "it seems to come from the target, or from this relay"))
            return None
        suspect = self._guard.suspects(got)
        if suspect and not self._guard.admits(got):
            self._break_circle(got, shown)
            return None
        # Do this first, although opening a socket may fail: only one socket can have the port of
        # --source, and this may free the last descriptor.
        while len(self._peers) >= self._options.most:
            oldest = next(iter(self._peers.values()))
            self._emit(PeerForgotten(oldest.peer))
            self._drop(oldest)
        peer = Peer(self._count + 1, shown)
        sock = self._target.open(peer)
        self._count += 1
        self._emit(NewPeer(peer))
        each = RelayedPeer(got.address, peer, sock, self._options, self._service, self._failed)
        each.suspect = suspect
        self._peers[got.address] = each
        self._listen(each)
        self._wait()
        return each

    def _break_circle(self, got: Received, shown: str) -> None:
        """Drop a datagram, and the suspect peers of its host: others would go on through them."""
        why = "it seems to loop between this relay and others"
        kind = "dropped a datagram that seems to loop"
        self._emit(Failure(f"dropped a datagram from {shown}: {why}", kind))
        for each in list(self._peers.values()):
            if each.suspect and not each.answered and host(each.address) == host(got.address):
                self._drop(each)

    # From the target to the peers.

    def _listen(self, each: RelayedPeer) -> None:
        self._ours.add(each.sock.address)
        each.sock.when_readable(partial(self._answered, each))

    def _answered(self, each: RelayedPeer) -> None:
        soon, sock = self._loop.call_soon, each.sock
        for got in sock.incoming(lambda error: soon(partial(self._failed, each, sock, error))):
            each.answered = True
            self._guard.answered()
            self._moved(each)
            if got.cut:
                self._emit(Failure(got.problem("the target"), "a datagram was truncated"))
            each.received.pass_on(got)

    def _failed(self, each: RelayedPeer, sock: DatagramSocket, error: SockkitError) -> None:
        """Report a failure. Before the first answer, try another address of the target.

        A failure of a socket that was replaced is only reported.
        """
        refused = isinstance(error, ConnectError)
        self._emit(Failure(str(error), "the target refuses datagrams" if refused else error.kind))
        gone = self._peers.get(each.address) is not each or each.sock is not sock
        if gone or not refused:
            return
        if each.sock.transport != "udp":  # a unix socket stays connected to the socket that is gone
            self._drop(each)
        elif each.tries and not each.answered:
            self._try_next(each)

    def _try_next(self, each: RelayedPeer) -> None:
        """Resend the datagrams that are kept, to the target's next address."""
        self._target.refused(each.sock)
        self._ours.discard(each.sock.address)
        try:
            each.use(self._target.open(each.peer))
        except SockkitError as failure:
            self._service.failed(failure)
            self._drop(each)
        else:
            self._listen(each)

    # Who is silent.

    def _moved(self, each: RelayedPeer) -> None:
        each.active_at = self._loop.now
        self._peers[each.address] = self._peers.pop(each.address)

    def _wait(self) -> None:
        """Set the timer for the peer that times out first."""
        oldest = next(iter(self._peers.values()), None)
        if oldest and not self._timer:
            self._timer = self._loop.at(oldest.active_at + self._options.idle, self._review)

    def _review(self) -> None:
        self._timer = None
        for each in list(self._peers.values()):
            if each.active_at + self._options.idle > self._loop.now:
                break
            self._drop(each)
        self._wait()

    def _drop(self, each: RelayedPeer) -> None:
        del self._peers[each.address]
        self._ours.discard(each.sock.address)
        each.close()
        seconds = self._loop.now - each.began_at
        sizes = each.sent.size, each.received.size
        self._emit(Closed(each.peer, *sizes, seconds=seconds))
