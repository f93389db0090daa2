"""Decides what `--explain` tells: which step an event or a record is, and which sentences it has.

It knows no language. Events tell what happens to a connection, and records tell which bytes pass.
There are records because `--explain` is a viewer (net/views.py).
"""

from __future__ import annotations

import errno
from typing import Any

from sockkit.cli.explain import python
from sockkit.cli.explain.connections import Connections
from sockkit.cli.explain.passing import came, went
from sockkit.cli.explain.role import Role, Tell
from sockkit.core.records import Closed as ClosedRecord
from sockkit.core.records import Ended, Message, Opened, Record, Stream
from sockkit.errors import NO_ANSWER, BindError, ResolveError, SockkitError, TimedOut
from sockkit.events import (
    Connected,
    ConnectFailed,
    DatagramTotal,
    Event,
    InputEnded,
    Listening,
    PeerEnded,
    PeerUser,
    ProgramEnded,
    ProgramStarted,
    Secured,
    SocketCall,
    TargetChosen,
    Tunnelled,
)


class Made:
    """A socket of the command, `name` in the Python lines. `aimed`: a connected datagram socket."""

    def __init__(self, name: str = "s", unix: bool = False, datagrams: bool = False) -> None:
        self.name, self.unix, self.datagrams = name, unix, datagrams
        self.bound = self.aimed = False


class Narrator:
    """Explains the run with `tell`."""

    def __init__(self, tell: Tell, role: Role) -> None:
        self._tell, self._role = tell, role
        self._accepting = ""  # the address of a connection that was accepted, with no event yet
        self._connections = Connections(tell, role)
        self._made = Made()  # the socket that was made last
        self._outs = 0  # a relay's datagram sockets for its peers
        self._listens = self._ready = False
        self._wants_port = False  # whether the system is to choose our port

    def tell(self, event: Event) -> None:
        if teller := TELLERS.get(type(event)):
            teller(self, event)

    def show(self, *records: Record) -> None:
        for record in records:
            match record:
                case Opened(_, stream):
                    self._connections.opened(stream)
                case Message(_, stream, direction, data) if stream.datagrams:
                    self._datagram(stream, direction, data)
                case Message(_, stream, direction, data):
                    self._connections.passed(stream, direction, data)
                case Ended(_, stream, "received"):
                    self._connections.ended(stream)
                case ClosedRecord(_, stream, reset):
                    self._connections.closed(stream, reset)
                case _:  # SocketCall tells the end of our side, and the event Listening that
                    pass

    def close(self) -> None:
        """Do nothing, as there is nothing to close."""

    def failed(self, error: SockkitError) -> None:
        """Explain the error that ends the run. The error itself is shown afterwards."""
        if isinstance(error, ResolveError):
            self._tell("failed", "", "failed.unknown")
        elif isinstance(error, BindError) and isinstance(error.__cause__, OSError):
            if key := _BIND_FAILURES.get(error.__cause__.errno or 0):
                closing = key == "failed.in_use" and not (self._made.unix or self._made.datagrams)
                self._tell("failed", "", key, *(["failed.time_wait"] if closing else []))
        elif isinstance(error, TimedOut) and error.kind == NO_ANSWER:
            self._tell("failed", "", "failed.no_answer")

    # The calls of sockets.

    def _called(self, event: SocketCall) -> None:
        if tell := _CALLS.get(event.call):
            tell(self, event.detail)
        elif event.on:
            self._connections.called(event)
        elif event.call == "close":
            self._closed_own()

    def _new_socket(self, detail: str) -> None:
        version, kind = detail.split(", ")
        datagrams = kind == "datagram"
        made = self._made = Made(self._name_of_new(datagrams), version == "unix", datagrams)
        family = "unix" if made.unix else "ip"
        code = python.new_socket(made.name, version, kind)
        self._tell("socket", code, f"socket.{family}.{kind}", version=version)

    def _name_of_new(self, datagrams: bool) -> str:
        if self._ready and self._role.relays:
            self._outs += datagrams
            return "out"
        return "u" if datagrams and self._listens else "s"  # u beside s: both of one command

    def _set_option(self, detail: str) -> None:
        option, value = detail.split(" = ")
        key = f"option.{option}" if option in _OPTIONS else "option.other"
        if option == "SO_REUSEADDR" and self._made.datagrams:
            key += ".datagram"
        code = python.set_option(self._made.name, option, value)
        self._tell("setsockopt", code, key, option=option)

    def _bind(self, detail: str) -> None:
        self._made.bound = True
        unix = detail.startswith("unix")
        keys = [f"bind.{_place(detail)}"]
        if not self._role.serves or self._ready:
            keys = ["bind.source.unix" if unix else "bind.source"]
        elif self._made.datagrams and not unix:
            keys.append("bind.datagrams")
        if detail.endswith(":0"):
            self._wants_port = True
            keys.append("bind.any_port")
        self._tell(
            "bind", f"{self._made.name}.bind({python.address(detail)})", *keys, address=detail
        )

    def _listen(self, detail: str) -> None:
        backlog = detail.rpartition(" ")[2]
        key = "listen.unix" if self._made.unix else "listen"
        self._tell("listen", f"s.listen({backlog})", key, backlog=backlog)
        self._listens = True

    def _listening(self, event: Listening) -> None:
        self._ready = True
        port = event.address.rpartition(":")[2]
        if self._wants_port:
            self._tell("getsockname", "s.getsockname()", "port.chosen", port=port)
        if self._listens:
            self._tell("wait", _ACCEPT, "wait.stream")
        elif self._made.datagrams:
            self._tell("wait", "data, addr = s.recvfrom(n)", "wait.datagram")

    def _accept(self, detail: str) -> None:
        self._accepting = detail

    def _connected(self, event: Connected) -> None:
        if self._accepting:
            self._connections.accepted(event.peer)
        else:
            self._connections.connected(event, bound=self._made.bound)
        self._accepting = ""

    def _look_up(self, detail: str) -> None:
        self._tell("getaddrinfo", f"socket.getaddrinfo{python.address(detail)}", "getaddrinfo")

    def _connect(self, detail: str) -> None:
        kind = "datagram" if self._made.datagrams else "stream"
        key = f"connect.{kind}.unix" if self._made.unix else f"connect.{kind}"
        self._made.aimed = self._made.datagrams
        code = f"{self._made.name}.connect({python.address(detail)})"
        self._tell("connect", code, key, address=detail)

    def _join(self, detail: str) -> None:
        six = detail.startswith("[")
        level, option = ("IPV6", "IPV6_JOIN_GROUP") if six else ("IP", "IP_ADD_MEMBERSHIP")
        code = f"{self._made.name}.setsockopt(socket.IPPROTO_{level}, socket.{option}, group)"
        self._tell("join", code, "join", address=detail)

    def _closed_own(self) -> None:
        """A socket without a peer was closed, or that of a connection refused at once."""
        if self._accepting:
            self._tell("refuse", _ACCEPT, "accept.refused", address=self._accepting)
            self._accepting = ""
        elif self._listens:
            self._listens = False
            self._tell("close", "s.close()", "close.listener")
        else:
            name = "out" if self._outs else self._made.name.replace("out", "s")
            self._outs -= bool(self._outs)
            self._tell("close", f"{name}.close()", "close.datagrams")

    def _failed_to_connect(self, event: ConnectFailed) -> None:
        if self._made.datagrams:
            if not self._made.unix:
                self._tell("refused", "", "connect.icmp", address=event.address)
            return
        refused = event.reason == "connection refused"
        key = "connect.refused" if refused else "connect.failed"
        if refused and self._made.unix:
            key += ".unix"
        self._tell("refused", "", key, address=event.address, reason=event.reason)

    def _datagram(self, stream: Stream, direction: Any, data: bytes) -> None:
        name, aimed = self._made.name, stream.dialled and self._made.aimed
        address = python.address(stream.remote)
        key = "recvfrom.unix" if self._made.unix else "recvfrom"
        if self._role.relays:
            sent = direction == "sent"
            code = "data, addr = s.recvfrom(n); out.send(data)"
            code = code if sent else "data = out.recv(n); s.sendto(data, addr)"
            came(self._tell, "recvfrom", code, "relayed.datagram", data)
        elif direction == "sent":
            key = "sendto.unix" if self._made.unix else "sendto"
            call, more = (f"{name}.send", "") if aimed else (f"{name}.sendto", f", {address}")
            went(self._tell, "sendto", call, key, data, more)
        elif aimed:
            came(self._tell, "recvfrom", f"data = {name}.recv(n)", key, data)
        else:
            code = f"data, addr = {name}.recvfrom(n)"
            came(self._tell, "recvfrom", code, f"recvfrom.addr {key}", data, addr=address)

    # Datagrams, and programs.

    def _target_chosen(self, event: TargetChosen) -> None:
        port = event.local.rpartition(":")[2]
        unix = event.local.startswith("unix")
        keys = [] if self._made.bound or unix or port == "0" else ["target.port"]
        self._tell("target", "", *keys, address=event.address, port=port)

    def _datagram_total(self, event: DatagramTotal) -> None:
        key = f"datagrams.{event.direction}"
        if self._made.unix and event.direction == "received":
            key += ".unix"
        self._tell("datagrams", "", key, count=f"{event.datagrams:,}", size=event.size)

    def _program_started(self, event: ProgramStarted) -> None:
        self._tell("program", "", "program", name=event.name, process=str(event.process))

    def _program_ended(self, event: ProgramEnded) -> None:
        self._tell("program", "", "program.ended", name=event.name, status=str(event.code))


_BIND_FAILURES = {
    errno.EADDRINUSE: "failed.in_use",
    errno.EADDRNOTAVAIL: "failed.not_ours",
    errno.EACCES: "failed.privileged",
    errno.ENOENT: "failed.no_folder",
}
_ACCEPT = "conn, addr = s.accept()"
_OPTIONS = {
    *("SO_REUSEADDR", "SO_REUSEPORT", "TCP_NODELAY", "SO_KEEPALIVE", "SO_BROADCAST"),
    *("SO_SNDBUF", "SO_RCVBUF", "IP_TTL"),
}
_CALLS = {
    "socket": Narrator._new_socket,
    "setsockopt": Narrator._set_option,
    "bind": Narrator._bind,
    "listen": Narrator._listen,
    "accept": Narrator._accept,
    "connect": Narrator._connect,
    "join": Narrator._join,
    "getaddrinfo": Narrator._look_up,
}
TELLERS: dict[type, Any] = {
    SocketCall: Narrator._called,
    Listening: Narrator._listening,
    Connected: Narrator._connected,
    Tunnelled: lambda narrator, event: narrator._connections.tunnelled(event),
    Secured: lambda narrator, event: narrator._connections.secured(event),
    PeerUser: lambda narrator, event: narrator._connections.peer_user(event),
    ConnectFailed: Narrator._failed_to_connect,
    InputEnded: lambda narrator, event: narrator._connections.input_ended(event),
    PeerEnded: lambda narrator, event: narrator._connections.peer_ended(event),
    TargetChosen: Narrator._target_chosen,
    DatagramTotal: Narrator._datagram_total,
    ProgramStarted: Narrator._program_started,
    ProgramEnded: Narrator._program_ended,
}


def _place(address: str) -> str:
    """The kind of address that a server is bound to."""
    host = address.rpartition(":")[0].strip("[]")
    if address.startswith("unix"):
        return "abstract" if address.startswith("unix:@") else "unix"
    first = host.partition(".")[0]
    # RFC 4291, RFC 5771.
    if host.startswith("ff") or (first.isdecimal() and 224 <= int(first) < 240):
        return "group"
    if host in ("0.0.0.0", "::"):
        return "every"
    return "loopback" if host.startswith("127.") or host == "::1" else "address"
