"""From a parsed command line to a running command."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any, TypeVar

from sockkit.cli.render import QUIET, Talk
from sockkit.errors import SockkitError, Stopped, reason
from sockkit.events import Emit
from sockkit.net.loop import Loop
from sockkit.net.stdio import Input, Output, Stdio

T = TypeVar("T")


def start(run: Callable[[T, Loop, Stdio, Emit], None], config: T, values: dict[str, Any]) -> None:
    """Run a command on this process's standard streams. Raises SockkitError."""
    level = QUIET if values["quiet"] else values["verbose"]
    try:
        stdio, loop = Stdio(Input(0), Output(1), _encoding()), Loop()
    except OSError as error:
        raise SockkitError(f"could not begin: {reason(error)}") from error
    talk = Talk(level, terminal=stdio.input.terminal and os.isatty(2))
    with loop:
        _stop_by_signals(loop)
        try:
            run(config, loop, stdio, talk.emitter())
        except OSError as error:  # its place should have made it one of ours
            raise AssertionError(f"not told from a fault: {error}") from error


def _encoding() -> str:
    """The user's own encoding: what Python would read standard input in."""
    return sys.stdin.encoding if sys.stdin else "utf-8"


def _stop_by_signals(loop: Loop) -> None:
    """Make Ctrl-C and SIGTERM raise Stopped in the loop; a second one ends at once."""

    def stop(number: int, _: FrameType | None) -> None:
        def end() -> None:
            raise Stopped(number)

        signal.signal(number, signal.SIG_DFL)
        loop.call_soon(end)

    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, stop)
