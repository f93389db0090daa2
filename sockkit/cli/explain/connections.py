"""Explains the connections of a run, from the first segment to the last.

A connection whose beginning was only counted is not explained: readers could not tell which it is.
"""

from __future__ import annotations

from typing import Any

from sockkit.cli.explain import python
from sockkit.cli.explain.passing import came, went
from sockkit.cli.explain.role import Role, Tell
from sockkit.cli.explain.story import Story
from sockkit.core.records import Stream
from sockkit.events import (
    Connected,
    InputEnded,
    Peer,
    PeerEnded,
    PeerUser,
    Secured,
    SocketCall,
    Tunnelled,
)

_Key = tuple[int, bool, str]  # of a stream: number, whether we dialled, the peer's address


class Connections:
    """Explains each connection with `tell`. Steps of all connections come in the order of time."""

    def __init__(self, tell: Tell, role: Role) -> None:
        self._tell, self._role = tell, role
        self._by_peer: dict[Peer, Story] = {}
        self._by_stream: dict[_Key, Story] = {}

    def accepted(self, peer: Peer) -> None:
        name = self._role.name(peer.number, dialled=False)
        addr = name.replace("conn", "addr")
        code = f"{name}, {addr} = s.accept()"
        key = "accept.unix" if _is_unix(peer) else "accept.stream"
        shown = f"{addr} = {python.address(peer.address)}"
        if self._tell("accept", code, key, name=name, addr=shown):
            self._add(Story(name, peer.address, dialled=False), peer)

    def connected(self, event: Connected, *, bound: bool) -> None:
        """We have connected. If not `bound`, the kernel has chosen our port."""
        peer, local = event
        keys = ["connected.unix"] if _is_unix(peer) else ["connected.stream"]
        keys += [] if bound or _is_unix(peer) else ["connected.port"]
        port = local.rpartition(":")[2]
        if self._tell("connected", "", *keys, address=peer.address, port=port):
            name = self._role.name(peer.number, dialled=True)
            self._add(Story(name, peer.address, dialled=True), peer)

    def _add(self, story: Story, peer: Peer) -> None:
        self._by_peer[peer] = self._by_stream[peer.number, story.dialled, peer.address] = story

    def tunnelled(self, event: Tunnelled) -> None:
        number, address = event.peer
        story = next((one for peer, one in self._by_peer.items() if peer.number == number), None)
        if story:
            self._by_peer[event.peer] = story
            self._by_stream[number, True, address.partition(" through ")[0]] = story
            self._tell("proxy", "", "tunnelled")

    def secured(self, event: Secured) -> None:
        if story := self._by_peer.get(event.peer):
            story.secured = True
            more = "server_hostname=host" if story.dialled else "server_side=True"
            code = f"{story.name} = context.wrap_socket({story.name}, {more})"
            key = "tls.server"
            if story.dialled:
                key = "tls.client" if event.issuer else "tls.unchecked"
            self._tell("tls", code, key, version=event.version, cipher=event.cipher)

    def peer_user(self, event: PeerUser) -> None:
        if event.peer in self._by_peer:
            process, user = str(event.process), str(event.user)
            self._tell("user", "", "peer.user", process=process, user=user)

    def _story(self, stream: Stream) -> Story | None:
        key = stream.number, stream.dialled, stream.remote
        return None if stream.datagrams else self._by_stream.get(key)

    def opened(self, stream: Stream) -> None:
        if story := self._story(stream):
            story.tapped = True

    def passed(self, stream: Stream, direction: Any, data: bytes) -> None:
        if story := self._story(stream):
            story.moved(direction, len(data))
            if self._role.framed:
                came(self._tell, "frame", "", "frame", data)
            elif self._role.relays:
                self._relayed(story, direction, data)
            elif direction == "sent":
                key = "sendall.unix" if story.unix else "sendall"
                went(self._tell, "sendall", f"{story.name}.sendall", key, data)
            else:
                key = "recv.unix" if story.unix else "recv"
                came(self._tell, "recv", f"data = {story.name}.recv(n)", key, data)

    def _relayed(self, out: Story, direction: Any, data: bytes) -> None:
        """Tell the relayed bytes. There are no records of the client's side, but it has the same
        bytes.
        """
        conn = out.name.replace("out", "conn")
        source, sink = (conn, out.name) if direction == "sent" else (out.name, conn)
        came(self._tell, "recv", f"data = {source}.recv(n); {sink}.sendall(data)", "relayed", data)

    # Its end.

    def called(self, event: SocketCall) -> None:
        """We have called shutdown or close."""
        story = self._by_peer.get(event.on) if event.on else None
        if not story:
            return
        if event.peer_first and not story.first:
            story.first = "received"
        story.unread = event.unread
        if event.call == "shutdown":
            code = f"{story.name}.shutdown(socket.SHUT_WR)"
            self._tell("shutdown", code, f"shutdown.{story.end('sent')}")
        elif not story.tapped:  # if tapped, the record tells the close
            self._closed(story, "")

    def ended(self, stream: Stream) -> None:
        """We have read the end of the peer's side."""
        self._ended(self._story(stream))

    def closed(self, stream: Stream, reset: str) -> None:
        self._closed(self._story(stream), reset)

    def input_ended(self, event: InputEnded) -> None:
        if event.peer in self._by_peer and not event.half_closed:
            self._tell("input", "", "input.held")

    def peer_ended(self, event: PeerEnded) -> None:
        story = self._by_peer.get(event.peer)
        if story and not story.tapped:
            self._ended(story)

    def _ended(self, story: Story | None) -> None:
        if story:
            key = story.end("received")
            self._tell("end", f"data = {story.name}.recv(n)", f"end.{key}", "end")

    def _closed(self, story: Story | None, reset: str) -> None:
        if not story:
            return
        self._forget(story)
        name = story.name
        if reset == "received":
            self._tell("reset", f"{name}.recv(n)", "reset.received", address=story.address)
        keys = [self._how_closed(story, reset)]
        if not (reset or story.unix or story.unread):
            keys += self._time_wait(story)
        keys += ["total"] if story.tapped else []
        moved = {"sent": story.sent, "received": story.received}
        self._tell("close", f"{name}.close()", *keys, **moved)

    def _how_closed(self, story: Story, reset: str) -> str:
        if reset == "sent":
            return "close.reset"
        if story.unread and not (reset or story.unix):
            return "close.unread"
        if reset or story.has_ended("sent"):
            return "close.done"
        return f"close.{story.end('sent')}"

    def _time_wait(self, story: Story) -> list[str]:
        if story.first == "received":
            return ["time_wait.theirs"]
        return ["time_wait.ours"] if story.dialled else ["time_wait.ours", "time_wait.port"]

    def _forget(self, story: Story) -> None:
        self._by_peer = {key: one for key, one in self._by_peer.items() if one is not story}
        self._by_stream = {key: one for key, one in self._by_stream.items() if one is not story}


def _is_unix(peer: Peer) -> bool:
    return peer.address.startswith("unix")
