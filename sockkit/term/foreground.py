"""Whether we are in the foreground: a shell's jobs share its terminal, and one of them has it."""

from __future__ import annotations

import os

# Between two checks, as a shell need not tell a job that it has got the terminal.
FOREGROUND_CHECK_SECONDS = 0.2


def in_background(terminal: int) -> bool:
    """Whether another job has our controlling terminal. Then we must not read it, tty(4)."""
    try:
        return os.tcgetpgrp(terminal) != os.getpgrp()
    except OSError:  # no terminal, or not the one that controls us, or it has gone
        return False
