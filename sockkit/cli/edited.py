"""Runs a command with line editing: the editor in the main thread, the command in another.

The typed lines are the command's standard input, and its standard output is a pipe; both have
`terminal` set. If standard error is the terminal, its lines are shown above the edited line, too.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from sockkit.cli.status_lines import StatusLines
from sockkit.cli.stopping import Stopping
from sockkit.net.ends.stdio import Output, Stdio
from sockkit.net.ends.typed_input import TypedInput
from sockkit.net.loop import Loop
from sockkit.net.pools import widen
from sockkit.system import pipe
from sockkit.term.editor import Editor
from sockkit.term.history import history_path

if TYPE_CHECKING:
    from sockkit.core.command_prompt import CommandPrompt

MAX_SETTLE_SECONDS = 0.2  # to wait for a typed command to take effect, before the next prompt
SETTLE_CHECK_SECONDS = 0.001  # between two checks of that


def run_edited(
    name: str,
    loop: Loop,
    encoding: str,
    work: Callable[[Stdio, StatusLines], None],
    stopping: Stopping,
) -> None:
    """Call `work` with the edited standard streams and the lines shown above the edited one.

    `name` is the command whose history of typed lines is used. Raises what `work` raises.
    """
    typed = Typing(loop, encoding, stopping)
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
            stdio = Stdio(typed.input, output, encoding, editor.assist, editor.offer)
            work(stdio, status)
        finally:
            status.close()
            os.close(into)

    editor.run(worker)


class Typing:
    """Passes typed lines to the loop's thread. Its methods are safe in any thread.

    It is the editor's `Program`. Only `settle` blocks.
    """

    def __init__(self, loop: Loop, encoding: str, stopping: Stopping) -> None:
        self._loop, self._encoding, self._stopping = loop, encoding, stopping
        self.input = TypedInput(loop)

    def enter(self, line: str) -> None:
        data = f"{line}\n".encode(self._encoding, "surrogateescape")
        self._loop.call_soon(lambda: self.input.put(data))

    def command(self, line: str, commands: CommandPrompt) -> None:
        run = partial(commands.run, line)
        if commands.at_once(line):
            self._loop.call_soon(run)
        else:
            self._loop.call_soon(lambda: self.input.put_command(run))

    def settle(self) -> bool:
        """Wait until the program has read all entered lines. False after MAX_SETTLE_SECONDS."""
        read = threading.Event()
        waiting = True

        def check() -> None:
            if not self.input.waits:
                read.set()
            elif waiting:
                self._loop.later(SETTLE_CHECK_SECONDS, check)

        self._loop.call_soon(check)
        waiting = read.wait(MAX_SETTLE_SECONDS)
        return waiting

    def end(self) -> None:
        self._loop.call_soon(self.input.end)

    def interrupt(self) -> None:
        self._stopping.stop(signal.SIGINT)
