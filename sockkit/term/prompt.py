"""The line being typed, and how text is printed above it.

prompt_toolkit draws the line. Whatever is printed erases it first; it is drawn anew when keys have
had their turn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import Enum, auto
from typing import TYPE_CHECKING, TextIO

from prompt_toolkit import ANSI, PromptSession
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.enums import DEFAULT_BUFFER
from prompt_toolkit.filters import Condition, has_focus
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.layout.processors import TabsProcessor
from prompt_toolkit.output import create_output

from sockkit.core.console import Assistant
from sockkit.term.history import history_of
from sockkit.term.keyboard import keyboard

if TYPE_CHECKING:
    from prompt_toolkit.buffer import Buffer

MAX_UNFINISHED_CHARACTERS = 2000  # of a line without its end; a longer one is ended


class Pause(Enum):
    """Why the line is taken off the screen, to be drawn anew later."""

    REDRAW = auto()
    STOP_PROCESS = auto()  # by a signal to us alone
    STOP_JOB = auto()  # by the key, as the terminal does it


class Nobody:
    """An Assistant that knows nothing."""

    prompt = "> "
    secret = False

    def complete(self, text: str) -> Iterable[tuple[str, str]]:
        return ()


class Prompt:
    """The prompt at the terminal `stdin` and `stdout`, with the lines kept in `history`.

    `on_accept` gets the buffer when Enter is pressed, and returns whether the text stays in it.
    `unfinished` is a line that has arrived without its end; it is shown above the prompt.
    """

    def __init__(
        self,
        stdin: TextIO,
        stdout: TextIO,
        history: str | None,
        on_accept: Callable[[Buffer], bool],
    ) -> None:
        self.assistant: Assistant = Nobody()
        self.unfinished = ""
        self._draft = Document()
        self._output = create_output(stdout)
        # Asking a terminal where its cursor is would mix with a flood, and some never answer.
        self._output.enable_cpr = False  # type: ignore[attr-defined]
        self._session: PromptSession[Pause | None] = PromptSession(
            self._message,
            history=history_of(history),
            completer=_Completer(self),
            complete_while_typing=False,
            key_bindings=self._keys(),
            input_processors=[TabsProcessor(char1=" ", char2=" ")],
            erase_when_done=True,
            is_password=Condition(lambda: self.assistant.secret),
            input=keyboard(stdin),
            output=self._output,
        )
        self._session.default_buffer.accept_handler = on_accept
        self._session.app.terminal_size_polling_interval = None  # SIGWINCH tells
        self._session.app.max_render_postpone_time = 0

    @property
    def assisted(self) -> bool:
        return not isinstance(self.assistant, Nobody)

    @property
    def editing(self) -> bool:
        """Whether the line is on the screen."""
        app = self._session.app
        return app.is_running and not app.is_done

    async def edit(self, on_begin: Callable[[], None]) -> Pause | None:
        """Edit until `pause`, whose reason it returns, or until `end`.

        `on_begin` is called as it begins. Raises EOFError for Ctrl-D, KeyboardInterrupt for Ctrl-C.
        """
        return await self._session.prompt_async(
            default=self._draft, handle_sigint=False, set_exception_handler=False, pre_run=on_begin
        )

    def pause(self, why: Pause) -> None:
        """Take the line off the screen; the next `edit` begins with it."""
        if self.editing:
            self._draft = self._session.default_buffer.document
            self._session.app.exit(result=why)

    def end(self) -> None:
        if self.editing:
            self._session.app.exit()

    def invalidate(self) -> None:
        """Draw the prompt anew, soon. Call it in asyncio's thread."""
        self._session.app.invalidate()

    def show(self, text: str) -> None:
        """Print whole lines, and keep the beginning of one for what comes next."""
        text = self.unfinished + text
        lines, end, self.unfinished = text.rpartition("\n")
        if len(self.unfinished) > MAX_UNFINISHED_CHARACTERS or not self.editing:
            lines, end, self.unfinished = text, "", ""
        self.print(lines + end)

    def take_unfinished(self) -> str:
        """The line that has no end yet, with one, for the caller to print."""
        line, self.unfinished = self.unfinished, ""
        return f"{line}\n" if line else ""

    def end_unfinished(self) -> None:
        """Print the line that has no end yet, with one."""
        if line := self.take_unfinished():
            self.print(line)

    def print(self, text: str) -> None:
        """Print `text`, which is safe to show, as whole lines where the line is on the screen."""
        if self.editing:
            self._session.app.renderer.erase()
            self._session.app.invalidate()
            if text and not text.endswith("\n"):
                text += "\n"
        self._output.write_raw(text)
        self._output.flush()

    def _message(self) -> ANSI:
        above = f"{self.unfinished}\n" if self.unfinished else ""
        return ANSI(above + self.assistant.prompt)

    def _keys(self) -> KeyBindings:
        keys = KeyBindings()

        @keys.add("tab", filter=Condition(lambda: not self.assisted))
        def _(event: KeyPressEvent) -> None:
            event.current_buffer.insert_text("\t")  # there is nothing to complete

        @keys.add("c-z")
        def _(event: KeyPressEvent) -> None:
            self.pause(Pause.STOP_JOB)

        @keys.add("c-c", filter=has_focus(DEFAULT_BUFFER) & Condition(self._typed))
        def _(event: KeyPressEvent) -> None:
            event.current_buffer.reset()

        return keys

    def _typed(self) -> bool:
        return bool(self._session.default_buffer.text)


class _Completer(Completer):
    def __init__(self, prompt: Prompt) -> None:
        self._prompt = prompt

    def get_completions(self, document: Document, event: CompleteEvent) -> Iterable[Completion]:
        text = document.text_before_cursor
        typed = len(text) - text.rfind(" ") - 1
        for word, meaning in self._prompt.assistant.complete(text):
            yield Completion(word, -typed, display_meta=meaning)
