"""The calls that not every system has, where more than one part needs them.

`fcntl` and `termios` are None on a system without: then what they would tell is not known, bytes
are copied, and there is no line editor.
"""

from __future__ import annotations

import os
import sys

try:
    import fcntl
    import termios
except ImportError:
    fcntl = termios = None  # type: ignore[assignment]

__all__ = ["FIONREAD", "TIOCOUTQ", "ask", "fcntl", "pipe", "termios"]

FIONREAD: int = getattr(termios, "FIONREAD", 0)  # bytes that can be read
TIOCOUTQ: int = getattr(termios, "TIOCOUTQ", 0)  # bytes written that are not delivered


def ask(descriptor: int, request: int) -> int | None:
    """The number that a descriptor answers, ioctl(2); None where it does not."""
    try:
        answer = fcntl.ioctl(descriptor, request, b"\0" * 4) if fcntl else None
    except OSError:
        return None
    return None if answer is None else int.from_bytes(answer, sys.byteorder)


def pipe() -> tuple[int, int]:
    """A pipe's ends, to read and to write, neither of which blocks."""
    ends = os.pipe()
    for end in ends:
        os.set_blocking(end, False)
    return ends
