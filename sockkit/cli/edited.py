"""Runs a command with line editing: the editor in the main thread, the command in its own.

The command has pipes as standard input and output, with `terminal` set. Lines on a standard error
that is the terminal are shown above the edited line, too.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable

from sockkit.cli.status_lines import StatusLines
from sockkit.cli.stopping import Stopping
from sockkit.net.ends.stdio import Input, Output, Stdio
from sockkit.net.kernel import widen
from sockkit.net.loop import Loop
from sockkit.net.outbox import Outbox
from sockkit.system import FIONREAD, ioctl_number, pipe
from sockkit.term.editor import Editor
from sockkit.term.history import history_path

MAX_SETTLE_SECONDS = 0.2  # to wait until a typed command has taken effect, before the next prompt
SETTLE_CHECK_SECONDS = 0.001  # between two checks whether it has


def run_edited(
    name: str,
    loop: Loop,
    encoding: str,
    work: Callable[[Stdio, StatusLines], None],
    stopping: Stopping,
) -> None:
    """Call `work` with the edited standard streams and what shows lines above them.

    `name` is the command whose history of typed lines is used. Raises what `work` raises.
    """
    typed = TypedInput(loop, encoding, stopping)
    arrivals, into = pipe()
    widen(into)
    output = Output(loop, into, edited=True)
    history = history_path(name, os.environ.get("XDG_STATE_HOME", ""), os.path.expanduser("~"))
    editor = Editor(sys.stdin, sys.stdout, arrivals, encoding, history, typed)
    stopping.on_stuck = editor.restore
    own = os.isatty(2)  # its lines are shown above the edited line
    status = StatusLines(
        output if own else Output(loop, 2), encoding, loop, output if own else None
    )

    def worker() -> None:
        try:
            work(Stdio(typed.input, output, encoding, editor.assist), status)
        finally:
            status.close()
            os.close(into)

    try:
        editor.run(worker)
    finally:
        typed.close()


class TypedInput:
    """The typed lines as standard input for the loop's thread, safe to enter in any thread.

    It is the editor's `Program`. Only `settle` blocks.
    """

    def __init__(self, loop: Loop, encoding: str, stopping: Stopping) -> None:
        self._loop, self._encoding, self._stopping = loop, encoding, stopping
        out, self._into = pipe()
        self.input = Input(loop, out, edited=True)
        self._ended = False
        self._waiting = Outbox(
            Output(loop, self._into, edited=True), on_empty=self._empty, on_fail=lambda _: None
        )

    def enter(self, line: str) -> None:
        data = f"{line}\n".encode(self._encoding, "surrogateescape")
        self._loop.call_soon(lambda: self._waiting.put(data))

    def settle(self) -> bool:
        """Wait until the program has read the lines entered. False after MAX_SETTLE_SECONDS."""
        read = threading.Event()
        waiting = True

        def check() -> None:
            if not self._waiting.size and not ioctl_number(self.input.descriptor, FIONREAD):
                read.set()
            elif waiting:
                self._loop.later(SETTLE_CHECK_SECONDS, check)

        self._loop.call_soon(check)
        waiting = read.wait(MAX_SETTLE_SECONDS)
        return waiting

    def end(self) -> None:
        self._loop.call_soon(self._end)

    def interrupt(self) -> None:
        self._stopping.stop(signal.SIGINT)

    def close(self) -> None:
        """Close the pipe, after the loop has run."""
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
