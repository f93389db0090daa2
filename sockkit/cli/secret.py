"""Asks the user at the terminal for a secret, without showing what is typed."""

from __future__ import annotations

import os

from sockkit.cli.stopping import STOPS
from sockkit.errors import Stopped


def ask_secret(prompt: str) -> str | None:
    """The typed secret; None if there is no terminal that we may read, or on Ctrl-D.

    Raises Stopped for a signal, after the terminal's echo is on again.
    """
    if not _has_terminal():
        return None
    import signal
    from getpass import getpass

    def stop(number: int, _: object) -> None:
        raise Stopped(number)

    before = {number: signal.getsignal(number) for number in STOPS}
    try:
        for number in STOPS:
            if before[number] != signal.SIG_IGN:
                signal.signal(number, stop)
        return getpass(prompt)
    except Stopped:
        _end_line()
        raise
    except EOFError:
        _end_line()
        return None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end_line() -> None:
    """End the line of the question on the terminal, as there was no answer."""
    try:
        terminal = os.open("/dev/tty", os.O_WRONLY | os.O_NOCTTY)
    except OSError:
        return
    try:
        os.write(terminal, b"\n")
    finally:
        os.close(terminal)


def _has_terminal() -> bool:
    """Whether there is a terminal that we may read: reading would stop a job in the background."""
    try:
        terminal = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)
