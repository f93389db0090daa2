"""The consoles of tcp-server and udp-server: their commands, and text for the peers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from sockkit.core.command_prompt import hex_command, list_command
from sockkit.core.console import Command, Completions
from sockkit.core.peers import Recipient
from sockkit.errors import UsageError
from sockkit.events import Emit, Peer


class PeerServer(Protocol):
    """The part of a server with numbered peers that its operator needs."""

    def peers(self) -> list[tuple[Peer, str]]:
        """Each peer, with a text about it for /list. Safe from any thread."""
        ...

    def say(self, number: int | None, data: bytes, *, raw: bool = False) -> None:
        """Send `data` to peer `number`, or to all if that is None; `raw` without a transform."""
        ...

    def send_file(self, number: int | None, path: str) -> None:
        """Send the file at `path` to peer `number`, or to all if that is None, unchanged.

        Lines typed afterwards wait until the file is sent. Raises UsageError.
        """
        ...

    def quit(self) -> None: ...


class ClientServer(PeerServer, Protocol):
    """A server of connections."""

    def kick(self, number: int) -> None: ...


class DatagramServer(PeerServer, Protocol):
    """A server of datagrams: an address that has sent one is a peer."""

    def last(self) -> Peer | None:
        """The peer that sent most recently."""
        ...


class PeerCommands:
    """The commands of both servers. `encoding` is that of the typed lines."""

    commands: Sequence[Command]
    quit_summary = "close all connections and end (also Ctrl-D)"
    nobody = "nobody is connected"

    def __init__(self, server: PeerServer, encoding: str, emit: Emit) -> None:
        self._server, self._encoding, self._emit = server, encoding, emit
        self._to: int | Recipient = Recipient.ALL  # who receives text

    def _table(
        self, *, recipients: Sequence[Command] = (), others: Sequence[Command] = ()
    ) -> tuple[Command, ...]:
        """The commands. `recipients` are further commands that choose the recipient of text."""
        return (
            list_command("/list", self._server.peers, self.nobody, self._emit),
            Command("/to", "N", "send what you type to peer N only", self._to_one, self._numbers),
            Command(
                "/all",
                "",
                "send what you type to all peers",
                lambda _: self._send_to(Recipient.ALL),
            ),
            *recipients,
            Command("@N", "TEXT", "send TEXT to peer N, just once", self._once, self._numbers),
            *others,
            hex_command("/hex", self._send_raw),
        )

    @property
    def prompt(self) -> str:
        return f"[{self._to}]> " if isinstance(self._to, int) else "> "

    def decode(self, line: bytes) -> str:
        return line.decode(self._encoding, "surrogateescape")

    def say(self, text: str) -> None:
        self._server.say(self._recipient(), self._encoded(text))

    def send_file(self, path: str) -> None:
        """Send the file at `path` to the recipient of text. Raises UsageError."""
        self._server.send_file(self._recipient(), path)

    def complete(self, word: str) -> Completions:
        return ()

    def quit(self) -> None:
        self._server.quit()

    def _recipient(self) -> int | None:
        """The number of the peer that receives text, None for all. Raises UsageError if there is no
        peer.
        """
        if isinstance(self._to, int):
            return self._number(str(self._to))
        if not self._server.peers():
            raise UsageError(f"{self.nobody}: nothing was sent")
        return None

    def _number(self, text: str) -> int:
        digits = "".join(
            str(int(each)) if each.isdecimal() else each for each in text
        )  # of ２, too
        for peer, _ in self._server.peers():
            if digits == str(peer.number):
                return peer.number
        raise UsageError(f"no peer {text}", "/list shows the peers, /all sends to all of them")

    def _numbers(self, word: str) -> Completions:
        peers = [(str(peer.number), peer.address) for peer, _ in self._server.peers()]
        return [(number, address) for number, address in peers if number.startswith(word)]

    def _encoded(self, text: str) -> bytes:
        return text.encode(self._encoding, "surrogateescape")

    def _send_to(self, to: int | Recipient) -> None:
        self._to = to

    def _to_one(self, number: str) -> None:
        self._send_to(self._number(number))

    def _once(self, argument: str) -> None:
        number, _, text = argument.partition(" ")
        self._server.say(self._number(number.lstrip("0") or "0"), self._encoded(text))

    def _send_raw(self, data: bytes) -> None:
        self._server.say(self._recipient(), data, raw=True)


class TcpCommands(PeerCommands):
    """The commands of tcp-server. Text goes to all, unless a command chooses a peer."""

    def __init__(self, server: ClientServer, encoding: str, emit: Emit) -> None:
        super().__init__(server, encoding, emit)
        self._kick = server.kick
        kick = Command("/kick", "N", "close the connection of peer N", self._close, self._numbers)
        self.commands = self._table(others=[kick])

    def _close(self, number: str) -> None:
        self._kick(self._number(number))


class UdpCommands(PeerCommands):
    """The commands of udp-server. Text goes to the peer that sent most recently, unless a command
    chooses otherwise.
    """

    nobody = "no peer has sent anything yet"

    def __init__(self, server: DatagramServer, encoding: str, emit: Emit) -> None:
        super().__init__(server, encoding, emit)
        self._last = server.last
        self._send_to(Recipient.LAST)
        summary = "send what you type to the peer heard from most recently"
        last = Command("/last", "", summary, lambda _: self._send_to(Recipient.LAST))
        self.commands = self._table(recipients=[last])

    def _recipient(self) -> int | None:
        last = self._last()
        return last.number if self._to is Recipient.LAST and last else super()._recipient()
