"""Asks the person at the terminal for a secret, which is not shown as it is typed."""

from __future__ import annotations

import os

from sockkit.cli.stopping import STOPS
from sockkit.errors import Stopped


def ask_secret(prompt: str) -> str | None:
    """What a person types; None if nobody is there to answer, or nobody does.

    A signal ends us, but the terminal shows typing again. Raises Stopped.
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
    """End the line of the question on the terminal: nobody has answered."""
    try:
        terminal = os.open("/dev/tty", os.O_WRONLY | os.O_NOCTTY)
    except OSError:
        return
    try:
        os.write(terminal, b"\n")
    finally:
        os.close(terminal)


def _has_terminal() -> bool:
    """Whether there is a terminal, and we may read it: a job in the background would be stopped."""
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
