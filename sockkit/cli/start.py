"""From a parsed command line to a running command."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Callable
from threading import Event
from types import FrameType
from typing import Any, TypeVar

from sockkit.cli.render import QUIET, Counts, Renderer, say
from sockkit.errors import SockkitError, Stopped, UsageError, reason
from sockkit.events import Emit
from sockkit.net.loop import Loop
from sockkit.net.stdio import Input, Output, Stdio
from sockkit.term.color import Palette, wanted

T = TypeVar("T")


def start(
    name: str,
    run: Callable[[T, Loop, Stdio, Emit], None],
    config: T,
    values: dict[str, Any],
    *,
    unattended: bool = False,
) -> None:
    """Run the command `name` on this process's standard streams. Raises SockkitError.

    Where stdin and stdout are a terminal that can be drawn on, lines are edited there, if the
    command has `--no-edit`. One that may run `unattended` is not stopped in the background for
    reading the terminal: nobody types there.
    """
    if values["quiet"] and values["verbose"]:
        raise UsageError("-q and -v exclude each other", "leave out one")
    gc.freeze()
    gc.enable()
    try:
        if unattended and _in_background(0):
            _redirect_input()
        stdio, loop = Stdio(Input(0), Output(1), _encoding()), Loop()
    except OSError as error:
        raise SockkitError(f"could not begin: {reason(error)}") from error
    talk = Renderer(
        QUIET if values["quiet"] else values["verbose"],
        typist=stdio.input.terminal and os.isatty(2),
        palette=Palette(wanted(os.isatty(2), os.environ), dict(values.get("color", ()))),
    )

    def work(stdio: Stdio, say: Callable[[str], None]) -> None:
        counts = Counts(loop, say)
        try:
            run(config, loop, stdio, talk.emitter(say, counts.passes))
        except OSError as error:  # its place should have made it one of ours
            raise AssertionError(f"not told from a fault: {error}") from error
        finally:
            counts.finish()

    drawn = stdio.input.terminal and stdio.output.terminal and os.environ.get("TERM") != "dumb"
    with loop:
        if drawn and not values.get("no_edit", True):
            from sockkit.cli.edited import run_edited

            run_edited(name, loop, stdio.encoding, work, _stop_by_signals(loop, patient=True))
        else:
            _stop_by_signals(loop, patient=False)
            try:
                work(stdio, lambda line: _say_beside(stdio.output, line))
            except SockkitError:
                if stdio.output.in_line and os.isatty(2):
                    say("")  # what went wrong has a line of its own
                raise


def _say_beside(output: Output, line: str) -> None:
    """On a terminal not within a line that has arrived."""
    if output.in_line and os.isatty(2):
        output.in_line = False
        line = f"\n{line}"
    say(line)


def _in_background(descriptor: int) -> bool:
    try:
        return os.tcgetpgrp(descriptor) != os.getpgrp()
    except OSError:  # no terminal, or not the one that controls us
        return False


def _redirect_input() -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)


def _encoding() -> str:
    """The user's own encoding: what Python would read standard input in."""
    return sys.stdin.encoding if sys.stdin else "utf-8"


def _stop_by_signals(loop: Loop, *, patient: bool) -> Event:
    """Make Ctrl-C and SIGTERM raise Stopped in the loop; a second one ends at once.

    Unless `patient`: then a second one only says it again, for the terminal is to be put in
    order. What is returned is set by the first.
    """
    stopping = Event()

    def stop(number: int, _: FrameType | None) -> None:
        def end() -> None:
            raise Stopped(number)

        stopping.set()
        if not patient:
            signal.signal(number, signal.SIG_DFL)
        loop.call_soon(end)

    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, stop)
    return stopping
