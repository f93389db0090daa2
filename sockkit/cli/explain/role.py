"""The role of a command, on which sentences depend, and the function that tells a step."""

from __future__ import annotations

from typing import Protocol


class Tell(Protocol):
    """Tells a step of the kind `kind`: the Python `code`, if any, and the sentences of `keys`.

    Returns whether it was told; after many steps of one kind, further ones are only counted.
    `holes` fill the placeholders of the sentences; an int is a number of bytes.
    """

    def __call__(self, kind: str, code: str, *keys: str, **holes: str | int) -> bool: ...


class Role:
    """What the command does with its sockets, as far as sentences depend on it."""

    def __init__(self, *, serves: bool, relays: bool, framed: bool) -> None:
        self.serves, self.relays, self.framed = serves, relays, framed

    def name(self, number: int, *, dialled: bool) -> str:
        """The name of a connection's socket in the Python lines: s, conn, conn2, out, out2."""
        if dialled and not self.relays:
            return "s"
        return ("out" if dialled else "conn") + (str(number) if number > 1 else "")
