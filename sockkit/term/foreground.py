"""Whether we are in the foreground: only one of a shell's jobs may read the terminal at a time."""

from __future__ import annotations

import os

# Between two checks, as a shell need not notify a job that it brings to the foreground.
FOREGROUND_CHECK_SECONDS = 0.2


def in_background(terminal: int) -> bool:
    """Whether we are a job in the background, which must not read the terminal, tty(4)."""
    try:
        return os.tcgetpgrp(terminal) != os.getpgrp()
    except OSError:  # not a terminal, not our controlling terminal, or it has gone
        return False
