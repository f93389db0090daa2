"""A command at a terminal: lines are edited in the main thread, the command has its own.

To the command it looks like any other run: standard input and output are pipes, and
`terminal`. What is said on a standard error that is the terminal goes above the line too.
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

MAX_SETTLE_SECONDS = 0.2  # for a command to take effect, before the prompt is shown again
SETTLE_CHECK_SECONDS = 0.001  # between looks whether it has


def run_edited(
    name: str,
    loop: Loop,
    encoding: str,
    work: Callable[[Stdio, Callable[[str], None]], None],
    stopping: Stopping,
) -> None:
    """Run `work` with standard streams that are edited, and with what says a line above them.

    The history of lines is that of the command `name`. Raises what `work` raises.
    """
    typed = TypedInput(loop, encoding, stopping)
    arrivals, into = pipe()
    widen(into)
    output = Output(loop, into, edited=True)
    history = history_path(name, os.environ.get("XDG_STATE_HOME", ""), os.path.expanduser("~"))
    editor = Editor(sys.stdin, sys.stdout, arrivals, encoding, history, typed)
    stopping.on_stuck = editor.restore
    own = os.isatty(2)  # above the line that is typed
    status = StatusLines(
        output if own else Output(loop, 2), encoding, loop, output if own else None
    )

    def worker() -> None:
        try:
            work(Stdio(typed.input, output, encoding, editor.assist), status.say)
        finally:
            status.close()
            os.close(into)

    try:
        editor.run(worker)
    finally:
        typed.close()


class TypedInput:
    """What is typed, in any thread, as a standard input in the loop's.

    It is the editor's Program. Nothing but `settle` waits.
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
        """Wait until the program has read what was entered; False if it does not in time."""
        read = threading.Event()
        asked = True

        def look() -> None:
            if not self._waiting.size and not ioctl_number(self.input.descriptor, FIONREAD):
                read.set()
            elif asked:
                self._loop.later(SETTLE_CHECK_SECONDS, look)

        self._loop.call_soon(look)
        asked = read.wait(MAX_SETTLE_SECONDS)
        return asked

    def end(self) -> None:
        self._loop.call_soon(self._end)

    def interrupt(self) -> None:
        self._stopping.stop(signal.SIGINT)

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
