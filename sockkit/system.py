"""System calls that some systems lack, if several parts of sockkit need them.

`fcntl` and `termios` are None on a system without them. Then `ioctl_number` returns None, bytes are
copied, and there is no line editor.
"""

from __future__ import annotations

import os
import sys

try:
    import fcntl
    import termios
except ImportError:
    fcntl = termios = None  # type: ignore[assignment]

__all__ = ["FIONREAD", "TIOCOUTQ", "fcntl", "ioctl_number", "pipe", "termios"]

FIONREAD: int = getattr(termios, "FIONREAD", 0)  # bytes that can be read
TIOCOUTQ: int = getattr(termios, "TIOCOUTQ", 0)  # bytes sent that are not acknowledged


def ioctl_number(descriptor: int, request: int) -> int | None:
    """The number that ioctl(2) returns for `request`; None if it does not support that."""
    try:
        answer = fcntl.ioctl(descriptor, request, b"\0" * 4) if fcntl else None
    except OSError:
        return None
    return None if answer is None else int.from_bytes(answer, sys.byteorder)


def pipe() -> tuple[int, int]:
    """The reading and the writing end of a new pipe, both non-blocking."""
    ends = os.pipe()
    for end in ends:
        os.set_blocking(end, False)
    return ends
