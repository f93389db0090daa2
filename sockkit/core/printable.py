"""Makes text from other people safe for a terminal.

A terminal obeys control characters and escape sequences, and bidirectional controls and
line separators can make one line look like another. `escape` shows them as `\\x1b` or
`\\u202e`; letters of every script, emoji and combining marks pass as they are.
"""

from __future__ import annotations

from collections.abc import Iterable

_CONTROLS = [*range(0x20), *range(0x7F, 0xA0)]
_BIDIRECTIONAL = [0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
_SEPARATORS = [0x2028, 0x2029]
UNSAFE = (*_CONTROLS, *_BIDIRECTIONAL, *_SEPARATORS)


# What an input method writes when the key of the slash is pressed.
WIDE_SLASH, COMMA = "\uff0f", "\u3001"


def plain_slashes(text: str) -> str:
    """`text` with plain slashes where it begins with full-width ones."""
    rest = text.lstrip(WIDE_SLASH)
    return "/" * (len(text) - len(rest)) + rest


def _escaped(code: int) -> str:
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


_ESCAPES = {code: _escaped(code) for code in UNSAFE}
_TEXT_ESCAPES = {code: shown for code, shown in _ESCAPES.items() if chr(code) not in "\n\t"}


def escape(line: str) -> str:
    """`line` as one line that is safe to show, line ends and tabs escaped too."""
    if line.isascii() and line.isprintable():
        return line  # as nearly all are; this check is much faster
    return line.translate(_ESCAPES)


def escape_address(address: str) -> str:
    """A peer's address for a label: no part of it can look like the end of the label.

    A unix peer chooses its path. In an IPv6 address a colon follows the bracket.
    """
    return escape("]:".join(part.replace("]", "\\x5d") for part in address.split("]:")))


class Printable:
    """Escapes running text. Keeps LF and tab, and turns CRLF into LF."""

    def __init__(self) -> None:
        self._held = ""

    def feed(self, text: str, /) -> str:
        text = self._held + text
        # Only the next character shows whether a CR is part of a CRLF.
        self._held = "\r" if text.endswith("\r") else ""
        return text.removesuffix("\r").replace("\r\n", "\n").translate(_TEXT_ESCAPES)

    def flush(self) -> str:
        held, self._held = self._held, ""
        return held.translate(_TEXT_ESCAPES)


def aligned(rows: Iterable[tuple[str, str]]) -> list[str]:
    """Usages and what they do, in two columns."""
    rows = list(rows)
    width = max(len(usage) for usage, _ in rows) + 2
    return [f"{usage:<{width}} {summary}" for usage, summary in rows]
