"""The line editor: typed lines go to the program, and its output is shown above the edited line.

prompt_toolkit edits the line in the main thread (`term/prompt.py`). The program runs in a thread of
its own. Lines reach it by callbacks, and its output comes through a pipe, which ends when the
program does. The output is printed in chunks between keys (`term/arrivals.py`), so neither waits
for the other.

A job of a shell edits only in the foreground. In the background the output is printed without a
prompt, until we are in the foreground again.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, TextIO

from sockkit.core.console import Assistant
from sockkit.core.printable import escape
from sockkit.system import termios
from sockkit.term.arrivals import Arrivals
from sockkit.term.foreground import FOREGROUND_CHECK_SECONDS, in_background
from sockkit.term.modes import Modes
from sockkit.term.prompt import Pause, Prompt

if TYPE_CHECKING:
    from prompt_toolkit.buffer import Buffer

    from sockkit.core.command_prompt import CommandPrompt


class Program(Protocol):
    """The program that the typed lines are for. Its methods are called in the main thread."""

    def enter(self, line: str) -> None:
        """`line` was typed or pasted. It has no line end."""
        ...

    def command(self, line: str, commands: CommandPrompt) -> None:
        """The command `line` of `commands` was typed."""
        ...

    def settle(self) -> bool:
        """Wait a moment until the entered lines have taken effect. False if they have not."""
        ...

    def end(self) -> None:
        """Ctrl-D was typed, or the terminal has gone."""
        ...

    def interrupt(self) -> None:
        """Ctrl-C was typed."""
        ...


class Editor:
    """Edits lines for `program`, on the terminal `stdin` and `stdout`.

    `arrivals` is the reading end of a pipe with text to show, in `encoding` and safe to show. The
    editor owns it. Lines are kept in the file `history`.
    """

    def __init__(
        self,
        stdin: TextIO,
        stdout: TextIO,
        arrivals: int,
        encoding: str,
        history: str | None,
        program: Program,
    ) -> None:
        self._terminal = stdin.fileno()
        self._modes = Modes(self._terminal)
        self._prompt = Prompt(stdin, stdout, history, self._accept, self._command)
        self._arrivals = Arrivals(arrivals, encoding, self._prompt)
        self._program = program
        self._redraw: Callable[[], object] = lambda: None  # safe from any thread

    def assist(self, assistant: Assistant) -> None:
        """Use the prompt and the completions of `assistant`. Safe from any thread."""
        self._prompt.assistant = assistant
        with contextlib.suppress(RuntimeError):  # asyncio has ended
            self._redraw()

    def offer(self, commands: CommandPrompt) -> None:
        """Let the user type `commands` at the prompt of Ctrl-]. Safe from any thread."""
        self._prompt.commands = commands

    def run(self, work: Callable[[], None]) -> None:
        """Run `work` in a thread, and edit until it has closed the pipe. Raises what it raises.

        Call it in the main thread, the only one that handles signals.
        """
        errors: list[BaseException] = []

        def worker() -> None:
            signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
            try:
                work()
            except BaseException as error:
                errors.append(error)

        thread = threading.Thread(target=worker)
        thread.start()
        try:
            asyncio.run(self._edit())
        except (termios.error, OSError):  # the terminal has gone
            self._program.end()
        finally:
            self._arrivals.close()
            thread.join()
        if errors:
            raise errors[0]

    def restore(self) -> None:
        """Restore the terminal's settings, before an exit that cannot wait."""
        self._modes.restore()

    async def _edit(self) -> None:
        loop = asyncio.get_running_loop()
        # Run this in asyncio's thread: in another, the application may be about to end.
        self._redraw = lambda: loop.call_soon_threadsafe(self._prompt.invalidate)
        self._arrivals.listen()
        loop.add_signal_handler(signal.SIGCONT, self._prompt.pause, Pause.REDRAW)
        try:
            while not self._arrivals.ended.is_set():
                await self._turn()
        except KeyboardInterrupt:
            self._program.interrupt()
        except EOFError:
            self._program.end()
        finally:
            loop.remove_signal_handler(signal.SIGCONT)  # before asyncio closes its pipe
        self._prompt.end_unfinished()
        await self._arrivals.ended.wait()

    async def _turn(self) -> None:
        """Edit until the program ends or is suspended. In the background only wait a moment."""
        if in_background(self._terminal):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._arrivals.ended.wait(), FOREGROUND_CHECK_SECONDS)
            return
        self._modes.save()
        loop = asyncio.get_running_loop()
        if signal.getsignal(signal.SIGTSTP) is signal.SIG_DFL:
            loop.add_signal_handler(signal.SIGTSTP, self._prompt.pause, Pause.STOP_PROCESS)
        try:
            why = await self._prompt.edit(on_begin=_begun)
        finally:
            loop.remove_signal_handler(signal.SIGTSTP)
        self._prompt.end_unfinished()
        if why is Pause.STOP_PROCESS:
            os.kill(os.getpid(), signal.SIGTSTP)
        elif why is Pause.STOP_JOB:
            os.kill(0, signal.SIGTSTP)

    def _accept(self, buffer: Buffer) -> bool:
        """Print the typed or pasted lines, and enter them one by one."""
        prompt = self._prompt
        # The typed line answers an unfinished line, unless that line's rest is still in the pipe.
        above = "" if self._arrivals.more_waits() else prompt.pop_unfinished()
        text, secret = buffer.text, prompt.assistant.secret
        if secret:
            buffer.text = ""  # keep it out of the history
        if "\n" in text:
            text = text.removesuffix("\n")  # whole lines were pasted
        settles = prompt.assisted
        for line in text.split("\n"):
            shown = "*" * len(line) if secret else "\t".join(map(escape, line.split("\t")))
            prompt.print(f"{above}{prompt.assistant.prompt}{shown}\n")
            above = ""
            self._program.enter(line)
            if settles and line.startswith("/"):  # a command may change the prompt
                settles = self._program.settle()
        return False  # the buffer is emptied

    def _command(self, line: str) -> None:
        """Print a command that was typed, and run it."""
        commands = self._prompt.commands
        assert commands
        self._prompt.print(f"{commands.prompt}{escape(line)}\n")
        if commands.quits(line):
            self._prompt.end_input()
        else:
            self._program.command(line, commands)


def _begun() -> None:
    # After prompt_toolkit has added its own signal handler.
    asyncio.get_running_loop().call_soon(_allow_many_signals)


def _allow_many_signals() -> None:
    """Suppress asyncio's warning about many signals while the terminal cannot be written."""
    signal.set_wakeup_fd(signal.set_wakeup_fd(-1), warn_on_full_buffer=False)
