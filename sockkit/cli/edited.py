"""A command at a terminal: lines are edited in the main thread, the command has its own.

To the command it looks like any other run: standard input and output are pipes, and
`terminal`. What is said on a standard error that is the terminal goes above the line too.
"""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Callable
from threading import Event

from sockkit.cli.render import say
from sockkit.errors import SockkitError, Stopped
from sockkit.net.kernel import widen
from sockkit.net.loop import Loop
from sockkit.net.outbox import Outbox
from sockkit.net.stdio import Input, Output, Stdio
from sockkit.term.editor import STUCK, Editor, history_path


def run_edited(
    name: str,
    loop: Loop,
    encoding: str,
    work: Callable[[Stdio, Callable[[str], None]], None],
    stopping: Event,
) -> None:
    """Run `work` with standard streams that are edited, and with what says a line above them.

    The history of lines is that of the command `name`. Once `stopping` is set, a terminal that
    takes nothing is waited for no more than STUCK. Raises what `work` raises.
    """
    typed = _Typed(loop)
    shown, into = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    widen(into)
    output = Output(into, edited=True)
    editor = Editor(
        shown,
        encoding,
        history_path(name),
        on_line=lambda line: typed.put(f"{line}\n".encode(encoding, "surrogateescape")),
        on_end=typed.end,
        on_interrupt=lambda: loop.call_soon(_interrupt),
    )

    talks = os.isatty(2)
    patience = STUCK

    def above(line: str) -> None:
        nonlocal patience
        begin = "\n" if output.in_line else ""
        data = f"{begin}{line}\n".encode(encoding, "replace")
        while data:
            try:
                data = data[output.write(data) :]
            except BlockingIOError:
                began = time.monotonic()
                ready = select.select([], [into], [], patience)[1]
                if stopping.is_set():
                    patience = max(patience - (time.monotonic() - began), 0)
                    if not ready:
                        return
            except SockkitError:
                return  # the terminal has gone

    def worker() -> None:
        try:
            work(Stdio(typed.input, output, encoding, editor.assist), above if talks else say)
        finally:
            os.close(into)

    try:
        editor.run(worker)
    finally:
        typed.close()


def _interrupt() -> None:
    raise Stopped(signal.SIGINT)


class _Typed:
    """What is typed, in any thread, as a standard input in the loop's. Never blocks."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        out, self._into = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self.input = Input(out, edited=True)
        self._ended = False
        self._waiting = Outbox(
            loop, Output(self._into, edited=True), on_empty=self._empty, on_fail=lambda _: None
        )

    def put(self, data: bytes) -> None:
        self._loop.call_soon(lambda: self._waiting.put(data))

    def end(self) -> None:
        self._loop.call_soon(self._end)

    def close(self) -> None:
        """After the loop has run."""
        os.close(self.input.descriptor)
        self._hang_up()

    def _end(self) -> None:
        self._ended = True
        self._empty()

    def _empty(self) -> None:
        if self._ended and not self._waiting.size:
            self._hang_up()

    def _hang_up(self) -> None:
        if self._into >= 0:
            os.close(self._into)
            self._into = -1
