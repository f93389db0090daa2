"""Whose turn it is at a terminal: a shell's jobs share one, and one of them has it."""

from __future__ import annotations

import os

FOREGROUND_CHECK_SECONDS = (
    0.2  # seconds between looks, for a shell may tell a job nothing when it gets the terminal
)


def in_background(terminal: int) -> bool:
    """Whether another job has our controlling terminal, which we must not read then, tty(4)."""
    try:
        return os.tcgetpgrp(terminal) != os.getpgrp()
    except OSError:  # no terminal, or not the one that controls us, or it has gone
        return False
