"""The colours of names and peers."""

from __future__ import annotations

from collections.abc import Mapping

from sockkit.events import Peer

COLORS = ("green", "yellow", "blue", "magenta", "cyan", "red")


def wanted(terminal: bool, environ: Mapping[str, str]) -> bool:
    """Whether to use colours, also by NO_COLOR (no-color.org) and FORCE_COLOR (force-color.org)."""
    if environ.get("NO_COLOR"):
        return False
    return bool(environ.get("FORCE_COLOR")) or (terminal and environ.get("TERM") != "dumb")


class Palette:
    """The colour of each name, always the same. `fixed` are the colours that the user chose."""

    def __init__(self, on: bool, fixed: Mapping[str, str] | None = None) -> None:
        self._fixed = fixed or {}
        self._codes: dict[str, str] = {}
        self.on = on
        if on:  # loads all that a name's colour needs: later a server may be out of descriptors
            from zlib import crc32

            from colorama import Fore, Style, just_fix_windows_console

            self._crc32 = crc32

            just_fix_windows_console()
            self._codes = {color: getattr(Fore, color.upper()) for color in COLORS}
            self._reset, self._bright = Fore.RESET, Style.BRIGHT + "{}" + Style.NORMAL

    def color(self, *names: str) -> str:
        """The colour of one who has several `names`: a fixed one, otherwise that of the first."""
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
        """The colour of a peer, by its number, its address, or its address without the port."""
        return self.color(str(peer.number), peer.address, peer.address.rpartition(":")[0])

    def paint(self, text: str, color: str) -> str:
        """`text`, which must be safe to show, in `color`; unchanged where colours are off."""
        return f"{self._codes[color]}{text}{self._reset}" if text and self._codes else text

    def highlight(self, text: str) -> str:
        """`text`, which must be safe to show, highlighted; unchanged where colours are off."""
        return self._bright.format(text) if self.on else text
