"""What the operator of a server types: text for the peers, or a command.

Sans-I/O: `Operator` keeps whom text goes to and does what a line means through a `Floor`. A
line that begins with two slashes is text that begins with one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Protocol

from sockkit.core.hexadecimal import parse_hex
from sockkit.errors import UsageError
from sockkit.events import Answer, Emit, Peer

COMMANDS = {
    "/list": ("", "the peers that are connected"),
    "/to": ("N", "what is typed goes to peer N alone"),
    "/all": ("", "what is typed goes to all"),
    "/last": ("", "what is typed goes to whom was heard last"),
    "@N": ("TEXT", "send TEXT to peer N, this once"),
    "/kick": ("N", "close the connection of peer N"),
    "/hex": ("48 65 0a", "send these bytes, and no line end"),
    "/help": ("", "this list; //text sends a line that begins with a slash"),
    "/quit": ("", "end, and close what is connected (also Ctrl-D)"),
}
_LAST = 0  # in place of a peer's number, which is 1 or more
_TAKES_PEER = ("/to", "/kick")
_AT = re.compile(r"@(\d+) (.*)", re.ASCII | re.DOTALL)

_AT_NOBODY = re.compile(r"@\d", re.ASCII)  # a peer without a text, or without a space before it


class Assistant(Protocol):
    """Who helps with what is typed; asked in the line editor's thread, at any time."""

    @property
    def prompt(self) -> str: ...

    @property
    def secret(self) -> bool:
        """Whether what is typed now is for nobody to see or keep."""
        ...

    def complete(self, text: str) -> Iterable[tuple[str, str]]:
        """What the last word of `text` may become, each with what it means."""
        ...


class Floor(Protocol):
    """Where the operator stands: the server, as far as it takes orders.

    `orders` are those of "/kick" and "/last" that it takes. With the latter, text goes to
    whom was heard last, unless told otherwise.
    """

    @property
    def orders(self) -> tuple[str, ...]: ...

    def peers(self) -> list[tuple[Peer, str]]:
        """Those connected, each with what is known of it. Safe from any thread."""
        ...

    def say(self, number: int | None, data: bytes, *, raw: bool = False) -> None:
        """Send to peer `number`, or to all; `raw` bytes pass no transform."""
        ...

    def last(self) -> Peer | None: ...

    def kick(self, number: int) -> None: ...

    def quit(self) -> None: ...


class Operator:
    """`encoding` is the user's own: what is typed comes in it."""

    secret = False

    def __init__(
        self, floor: Floor, encoding: str, emit: Emit, on_prompt: Callable[[], None] = lambda: None
    ) -> None:
        self._floor, self._encoding, self._emit = floor, encoding, emit
        self._on_prompt = on_prompt
        self._commands = {
            name: meaning
            for name, meaning in COMMANDS.items()
            if name not in ("/kick", "/last") or name in floor.orders
        }
        connections = "/last" not in floor.orders
        self._nobody = "nobody is connected" if connections else "nobody has been heard yet"
        self._to: int | None = None if connections else _LAST
        self._typed = b""

    @property
    def prompt(self) -> str:
        return f"[{self._to}]> " if self._to else "> "

    def complete(self, text: str) -> Iterable[tuple[str, str]]:
        before, _, word = text.rpartition(" ")
        peers = {str(peer.number): peer.address for peer, _ in self._floor.peers()}
        words: Iterable[tuple[str, str]] = ()
        if before in _TAKES_PEER:
            words = peers.items()
        elif not before and word.startswith("@"):
            words = ((f"@{number}", address) for number, address in peers.items())
        elif not before and word.startswith("/"):
            words = ((name, meaning) for name, (_, meaning) in self._commands.items())
        return [(full, meaning) for full, meaning in words if full.startswith(word)]

    def feed(self, data: bytes) -> None:
        """Take what was typed, in pieces of any size; nothing is the end, which is `/quit`."""
        if not data:
            if self._typed:
                self._line(self._typed)
            self._floor.quit()
            return
        *lines, self._typed = (self._typed + data).split(b"\n")
        for line in lines:
            self._line(line + b"\n")

    def _line(self, line: bytes) -> None:
        text = line.decode(self._encoding, "surrogateescape")
        try:
            if at := _AT.fullmatch(text):
                self._say(int(at[1]), at[2].encode(self._encoding, "surrogateescape"))
            elif _AT_NOBODY.match(text):
                raise UsageError("write @N TEXT")
            elif text.startswith("/") and not text.startswith("//"):
                name, _, rest = text.strip().partition(" ")
                self._command(name, rest.strip())
            else:
                self._say(self._to, line[1:] if text.startswith("//") else line)
        except UsageError as error:
            self._emit(Answer(str(error)))

    def _command(self, name: str, rest: str) -> None:
        if name not in self._commands:
            raise UsageError(f"there is no {name}", "/help lists the commands, //text sends /text")
        wants = COMMANDS[name][0]
        if bool(wants) != bool(rest):
            raise UsageError(f"write {name} {wants}".rstrip())
        self._do(name, rest)

    def _do(self, name: str, rest: str) -> None:
        match name:
            case "/list":
                self._list()
            case "/to":
                self._aim(self._number(rest))
            case "/all":
                self._aim(None)
            case "/last":
                self._aim(_LAST)
            case "/kick":
                self._floor.kick(self._number(rest))
            case "/hex":
                self._say(self._to, parse_hex(rest), raw=True)
            case "/help":
                for command, (argument, meaning) in self._commands.items():
                    self._emit(Answer(f"{command} {argument:<{14 - len(command)}} {meaning}"))
            case "/quit":
                self._floor.quit()

    def _say(self, number: int | None, data: bytes, *, raw: bool = False) -> None:
        if number == _LAST:
            if not (last := self._floor.last()):
                raise UsageError(f"{self._nobody}: that was sent to no one")
            number = last.number
        elif number is not None:
            self._number(str(number))
        elif not self._floor.peers():
            raise UsageError(f"{self._nobody}: that was sent to no one")
        self._floor.say(number, data, raw=raw)

    def _aim(self, number: int | None) -> None:
        self._to = number
        self._on_prompt()

    def _number(self, text: str) -> int:
        for peer, _ in self._floor.peers():
            if text == str(peer.number):
                return peer.number
        raise UsageError(f"there is no peer {text}", "/list shows them, /all is for all")

    def _list(self) -> None:
        peers = self._floor.peers()
        for peer, known in peers:
            self._emit(Answer(f"[{peer.number}] {peer.address} {known}"))
        if not peers:
            self._emit(Answer(self._nobody))
