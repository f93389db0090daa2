"""From the lines that a member sends to what others are shown."""

from __future__ import annotations

import re
from collections.abc import Sequence

from sockkit.core.printable import escape

_PRINTABLE = bytes(range(0x20, 0x7F))


def shown(line: bytes, encoding: str) -> str:
    """What is shown of a line: nothing that a terminal obeys, and no spaces at its end."""
    text = line.removesuffix(b"\r").decode(encoding, "backslashreplace")
    return escape(text.replace("\t", " ")).rstrip()


def plain(lines: Sequence[bytes], encoding: str, quit_word: str) -> list[str]:
    """What is shown of `lines` where all are said as they are; none where one is anything else.

    That one may be a command, be empty, end in spaces, or have what cannot be printed. They are
    looked at all at once, which takes a tenth of the time.
    """
    data = b"\n".join(lines)
    if b"\r" in data:
        lines = [line.removesuffix(b"\r") for line in lines]
        data = b"\n".join(lines)
    if encoding == "utf-8":  # in which no character and no error goes over the end of a line
        texts = data.decode(encoding, "backslashreplace").split("\n")
    else:
        texts = [line.decode(encoding, "backslashreplace") for line in lines]
    if not _printable("".join(texts)):
        return []
    odd = rf"\n(?:[\n/]|{re.escape(quit_word)}\n|(?<= \n))"
    return [] if re.search(odd, "\n".join(("", *texts, ""))) else texts


def _printable(text: str) -> bool:
    """Whether nothing of it is escaped, and no white space but spaces is in it."""
    if text.isascii():
        return not text.encode().translate(None, _PRINTABLE)  # in a fifth of the time
    return text.isprintable()
