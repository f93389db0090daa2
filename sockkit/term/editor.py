"""The line being typed at a terminal, and above it what arrives.

prompt_toolkit edits the line in the main thread; what the program does runs in a thread of
its own, and the two talk through callbacks and a pipe. Whatever comes through the pipe is
printed above the line, a chunk at a time between keys, so that neither waits for the other;
its end is the program's end.

As a job of a shell it edits in the foreground alone. Where it is suspended, or begins, in the
background, what arrives is printed plainly until the terminal is ours again.
"""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable
from typing import Any

from prompt_toolkit import ANSI, PromptSession
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.enums import DEFAULT_BUFFER
from prompt_toolkit.filters import Condition, has_focus
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.layout.processors import TabsProcessor
from prompt_toolkit.output import create_output

from sockkit.core.console import Assistant
from sockkit.core.printable import escape
from sockkit.system import FIONREAD, ask, termios
from sockkit.term.foreground import LOOK, in_background
from sockkit.term.history import history_of
from sockkit.term.keyboard import keyboard

FRAME = 1 / 60  # seconds the line being typed is left standing, and printing should take
CHUNKS = (4 * 1024, 512 * 1024)  # least and most bytes printed at a time
LONGEST = 2000  # characters of an unfinished line that are shown; after so many it is ended


class _Nobody:
    prompt = "> "
    secret = False

    def complete(self, text: str) -> Iterable[tuple[str, str]]:
        return ()


class Editor:
    """Reads lines from the terminal on stdin and stdout.

    `shown` is the reading end of a pipe, which it owns: text in `encoding` that is safe to
    show. `on_line` gets each line without its end, `on_end` is called for Ctrl-D and
    `on_interrupt` for Ctrl-C, all of them in the main thread. `settle` waits a moment for what
    was typed to take effect, and tells whether it has.
    """

    def __init__(
        self,
        shown: int,
        encoding: str,
        history: str | None,
        *,
        on_line: Callable[[str], None],
        settle: Callable[[], bool],
        on_end: Callable[[], None],
        on_interrupt: Callable[[], None],
    ) -> None:
        self._shown = shown
        self._decoder = codecs.getincrementaldecoder(encoding)("replace")
        self._on_line, self._settle = on_line, settle
        self._on_end, self._on_interrupt = on_end, on_interrupt
        self._assistant: Assistant = _Nobody()
        self._redraw: Callable[[], object] = lambda: None  # safe from any thread
        self._unfinished = ""
        self._chunk = CHUNKS[0]
        self._before: list[Any] | None = None
        self._draft = Document()
        self._suspends: int | None = None  # what is stopped when the line has gone
        self._output = create_output(sys.stdout)
        # Asking a terminal where its cursor is would mix with a flood, and some never answer.
        self._output.enable_cpr = False  # type: ignore[attr-defined]
        self._session: PromptSession[str] = PromptSession(
            self._message,
            history=history_of(history),
            completer=_Completer(self),
            complete_while_typing=False,
            key_bindings=self._keys(),
            input_processors=[TabsProcessor(char1=" ", char2=" ")],
            erase_when_done=True,
            is_password=Condition(lambda: self._assistant.secret),
            input=keyboard(sys.stdin),
            output=self._output,
        )
        self._session.default_buffer.accept_handler = self._accept
        self._session.app.terminal_size_polling_interval = None  # SIGWINCH tells
        self._session.app.max_render_postpone_time = 0

    def assist(self, assistant: Assistant) -> None:
        """Let `assistant` name the prompt and complete words. Safe from any thread."""
        self._assistant = assistant
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
            self._on_end()
        finally:
            os.close(self._shown)
            thread.join()
        if errors:
            raise errors[0]

    def restore(self) -> None:
        """Give the terminal its settings back, for an end that cannot wait."""
        with contextlib.suppress(termios.error):
            if self._before and not in_background(sys.stdin.fileno()):
                termios.tcsetattr(sys.stdin.fileno(), termios.TCSANOW, self._before)

    async def _edit(self) -> None:
        self._loop = asyncio.get_running_loop()
        # In asyncio's thread: elsewhere, invalidate may find an application that has half ended.
        invalidate = self._session.app.invalidate
        self._redraw = lambda: self._loop.call_soon_threadsafe(invalidate)
        self._ended = asyncio.Event()
        self._listen()
        self._loop.add_signal_handler(signal.SIGCONT, self._pause, None)
        try:
            while not self._ended.is_set():
                await self._turn()
        except KeyboardInterrupt:
            self._on_interrupt()
        except EOFError:
            self._on_end()
        finally:
            self._loop.remove_signal_handler(signal.SIGCONT)  # before asyncio closes its pipe
        self._end_unfinished()
        await self._ended.wait()

    async def _turn(self) -> None:
        """Edit until the program ends or we are suspended; in the background, look again."""
        if in_background(sys.stdin.fileno()):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ended.wait(), LOOK)
            return
        self._before = termios.tcgetattr(sys.stdin.fileno())
        if signal.getsignal(signal.SIGTSTP) is signal.SIG_DFL:
            self._loop.add_signal_handler(signal.SIGTSTP, self._pause, os.getpid())
        try:
            await self._session.prompt_async(
                default=self._draft,
                handle_sigint=False,
                set_exception_handler=False,
                pre_run=self._begun,
            )
        finally:
            self._loop.remove_signal_handler(signal.SIGTSTP)
        self._end_unfinished()
        if self._suspends is not None:
            process, self._suspends = self._suspends, None
            os.kill(process, signal.SIGTSTP)

    def _begun(self) -> None:
        self._loop.call_soon(_calm)  # once prompt_toolkit has its own signal handled

    def _pause(self, suspends: int | None) -> None:
        """Take the line off the screen and draw it anew; before that stop process `suspends`."""
        if self._editing:
            self._suspends = suspends
            self._draft = self._session.default_buffer.document
            self._session.app.exit()

    def _end_unfinished(self) -> None:
        if self._unfinished:
            self._print(f"{self._unfinished}\n")
            self._unfinished = ""

    # What arrives.

    def _listen(self) -> None:
        self._loop.add_reader(self._shown, self._arrived)

    def _arrived(self) -> None:
        self._loop.remove_reader(self._shown)
        data = os.read(self._shown, self._chunk)
        began = self._loop.time()
        try:
            self._show(self._unfinished + self._decoder.decode(data))
        except OSError:  # the terminal has gone
            data = b""
        if data:
            # A slow terminal gets less at a time: keys wait no longer than a person notices.
            slow = self._loop.time() - began > FRAME
            self._chunk = max(
                min(self._chunk // 2 if slow else self._chunk * 2, CHUNKS[1]), CHUNKS[0]
            )
            self._loop.call_later(FRAME, self._listen)
        else:
            self._ended.set()
            if self._editing:
                self._session.app.exit()

    def _show(self, text: str) -> None:
        lines, end, self._unfinished = text.rpartition("\n")
        if len(self._unfinished) > LONGEST or not self._editing:
            lines, end, self._unfinished = text, "", ""
        self._print(lines + end)

    def _print(self, text: str) -> None:
        """Print above the line being typed, which is drawn anew when keys have had their turn."""
        if self._editing:
            self._session.app.renderer.erase()
            self._session.app.invalidate()
            if text and not text.endswith("\n"):
                text += "\n"
        self._output.write_raw(text)
        self._output.flush()

    @property
    def _editing(self) -> bool:
        app = self._session.app
        return app.is_running and not app.is_done

    # What is typed.

    def _message(self) -> ANSI:
        unfinished = f"{self._unfinished}\n" if self._unfinished else ""
        return ANSI(unfinished + self._assistant.prompt)

    def _accept(self, buffer: Buffer) -> bool:
        unfinished = ""
        if self._unfinished and not self._more_waits():
            # It stands there, and what was typed answers it; in a flood it will yet be ended.
            unfinished, self._unfinished = f"{self._unfinished}\n", ""
        text, secret = buffer.text, self._assistant.secret
        if secret:
            buffer.text = ""  # that is not for the history
        if "\n" in text:
            text = text.removesuffix("\n")  # whole lines were pasted
        settles = not isinstance(self._assistant, _Nobody)
        for line in text.split("\n"):
            shown = "*" * len(line) if secret else "\t".join(map(escape, line.split("\t")))
            self._print(f"{unfinished}{self._assistant.prompt}{shown}\n")
            unfinished = ""
            self._on_line(line)
            if settles and line.startswith("/"):  # a command, by which the prompt may change
                settles = self._settle()
        return False  # the buffer is emptied

    def _more_waits(self) -> bool:
        return bool(ask(self._shown, FIONREAD))

    def _keys(self) -> KeyBindings:
        keys = KeyBindings()

        @keys.add("tab", filter=Condition(lambda: isinstance(self._assistant, _Nobody)))
        def _(event: KeyPressEvent) -> None:
            event.current_buffer.insert_text("\t")  # there is nothing to complete

        @keys.add("c-z")
        def _(event: KeyPressEvent) -> None:
            self._pause(0)  # the whole job, as the terminal does it

        @keys.add("c-c", filter=has_focus(DEFAULT_BUFFER) & Condition(self._typed))
        def _(event: KeyPressEvent) -> None:
            event.current_buffer.reset()

        return keys

    def _typed(self) -> bool:
        return bool(self._session.default_buffer.text)

    def completions(self, text: str) -> Iterable[tuple[str, str]]:
        return self._assistant.complete(text)


def _calm() -> None:
    """However many signals come while the terminal takes nothing, asyncio has no complaint."""
    signal.set_wakeup_fd(signal.set_wakeup_fd(-1), warn_on_full_buffer=False)


class _Completer(Completer):
    def __init__(self, editor: Editor) -> None:
        self._editor = editor

    def get_completions(self, document: Document, event: CompleteEvent) -> Iterable[Completion]:
        text = document.text_before_cursor
        typed = len(text) - text.rfind(" ") - 1
        for word, meaning in self._editor.completions(text):
            yield Completion(word, -typed, display_meta=meaning)
