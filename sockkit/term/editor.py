"""The line editor: what is typed at a terminal goes to the program, what arrives is shown above.

prompt_toolkit edits the line in the main thread (`term/prompt.py`); what the program does runs in
a thread of its own, and the two talk through callbacks and a pipe. Whatever comes through the pipe
is printed above the line (`term/arrivals.py`), a chunk at a time between keys, so that neither
waits for the other; its end is the program's end.

As a job of a shell it edits in the foreground alone. Where it is suspended, or begins, in the
background, what arrives is printed plainly until the terminal is ours again.
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


class Program(Protocol):
    """Whom what is typed is for. Called in the main thread."""

    def enter(self, line: str) -> None:
        """`line` was typed, or pasted; it comes without its end."""
        ...

    def settle(self) -> bool:
        """Wait a moment for what was entered to take effect, and tell whether it has."""
        ...

    def end(self) -> None:
        """Ctrl-D, or the terminal has gone."""
        ...

    def interrupt(self) -> None:
        """Ctrl-C."""
        ...


class Editor:
    """Reads lines from the terminal on `stdin` and `stdout`, for `program`.

    `arrivals` is the reading end of a pipe, which the editor owns: text in `encoding` that is safe
    to show. Lines are kept in the file `history`.
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
        self._prompt = Prompt(stdin, stdout, history, self._accept)
        self._arrivals = Arrivals(arrivals, encoding, self._prompt)
        self._program = program
        self._redraw: Callable[[], object] = lambda: None  # safe from any thread

    def assist(self, assistant: Assistant) -> None:
        """Let `assistant` name the prompt and complete words. Safe from any thread."""
        self._prompt.assistant = assistant
        with contextlib.suppress(RuntimeError):  # asyncio has ended
            self._redraw()

    def run(self, work: Callable[[], None]) -> None:
        """Run `work` in a thread, and edit until it has closed the pipe; raise what it raises.

        Call it in the main thread: signals are handled there alone.
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
        """Give the terminal its settings back, for an end that cannot wait."""
        self._modes.restore()

    async def _edit(self) -> None:
        loop = asyncio.get_running_loop()
        # In asyncio's thread: elsewhere, invalidate may find an application that has half ended.
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
        """Edit until the program ends or we are suspended; in the background, look again."""
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
        """Print the lines that were typed or pasted, and enter them one by one."""
        prompt = self._prompt
        # What was typed answers the unfinished line, which in a flood will yet be ended.
        above = "" if self._arrivals.more_waits() else prompt.take_unfinished()
        text, secret = buffer.text, prompt.assistant.secret
        if secret:
            buffer.text = ""  # that is not for the history
        if "\n" in text:
            text = text.removesuffix("\n")  # whole lines were pasted
        settles = prompt.assisted
        for line in text.split("\n"):
            shown = "*" * len(line) if secret else "\t".join(map(escape, line.split("\t")))
            prompt.print(f"{above}{prompt.assistant.prompt}{shown}\n")
            above = ""
            self._program.enter(line)
            if settles and line.startswith("/"):  # a command, by which the prompt may change
                settles = self._program.settle()
        return False  # the buffer is emptied


def _begun() -> None:
    asyncio.get_running_loop().call_soon(_calm)  # once prompt_toolkit has its own signal handled


def _calm() -> None:
    """However many signals come while the terminal takes nothing, asyncio has no complaint."""
    signal.set_wakeup_fd(signal.set_wakeup_fd(-1), warn_on_full_buffer=False)
