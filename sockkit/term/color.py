"""The colours of names and peers."""

from __future__ import annotations

from collections.abc import Mapping

from sockkit.events import Peer

COLORS = ("green", "yellow", "blue", "magenta", "cyan", "red")
MAX_PEERS = 4096  # whose colours are kept, some 400 kB; a UDP server knows 1,024 at a time


def wanted(terminal: bool, environ: Mapping[str, str]) -> bool:
    """Whether to use colours. NO_COLOR (no-color.org) and FORCE_COLOR (force-color.org) count."""
    if environ.get("NO_COLOR"):
        return False
    return bool(environ.get("FORCE_COLOR")) or (terminal and environ.get("TERM") != "dumb")


class Palette:
    """The colour of each name and peer, always the same. `fixed` are those that the user chose.

    `peers` maps each address to its colour, and is shared by the palettes of a run.
    """

    def __init__(
        self,
        on: bool,
        fixed: Mapping[str, str] | None = None,
        peers: dict[str, str] | None = None,
    ) -> None:
        self._fixed = fixed or {}
        self._peers = {} if peers is None else peers
        self._codes: dict[str, str] = {}
        self.on = on
        if on:  # imports all that colours need now: later a server may be out of descriptors
            from zlib import crc32

            from colorama import Fore, Style, just_fix_windows_console

            self._crc32 = crc32

            just_fix_windows_console()
            self._codes = {color: getattr(Fore, color.upper()) for color in COLORS}
            self._reset, self._bright = Fore.RESET, Style.BRIGHT + "{}" + Style.NORMAL

    def color(self, *names: str) -> str:
        """The colour for these `names` of one peer: a fixed one, else that of the first."""
        for name in names:
            if name in self._fixed:
                return self._fixed[name]
        if not self.on:
            return COLORS[0]
        first = names[0]
        # Consecutive numbers have different colours.
        if first.isdecimal():
            place = int(first) - 1
        else:
            place = self._crc32(first.encode(errors="surrogateescape"))
        return COLORS[place % len(COLORS)]

    def of_peer(self, peer: Peer) -> str:
        """The colour of a peer, by its number, its address, or its address without the port.

        A peer that comes back with another number keeps the colour of its address.
        """
        names = (str(peer.number), peer.address, peer.address.rpartition(":")[0])
        shared = ":" not in peer.address  # by all unix sockets without an address
        if not self.on or shared or not self._fixed.keys().isdisjoint(names):
            return self.color(*names)
        if peer.address not in self._peers:
            if len(self._peers) >= MAX_PEERS:
                del self._peers[next(iter(self._peers))]
            self._peers[peer.address] = self.color(*names)
        return self._peers[peer.address]

    def paint(self, text: str, color: str) -> str:
        """`text`, which must be safe to show, in `color`; unchanged where colours are off."""
        return f"{self._codes[color]}{text}{self._reset}" if text and self._codes else text

    def highlight(self, text: str) -> str:
        """`text`, which must be safe to show, highlighted; unchanged where colours are off."""
        return self._bright.format(text) if self.on else text
