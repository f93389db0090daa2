"""The edited line with its prompt, and text printed above it.

prompt_toolkit draws the line. Printing erases it first; it is drawn again after keys are handled.
Ctrl-] puts the line aside for one command. In a paste that the terminal marks (bracketed paste),
every key is text, even this one.
"""

from __future__ import annotations

import signal
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

from sockkit.core.console import Assistant, Completions
from sockkit.term.aside import Aside
from sockkit.term.history import history_of
from sockkit.term.keyboard import keyboard

if TYPE_CHECKING:
    from prompt_toolkit.buffer import Buffer

    from sockkit.core.command_prompt import CommandPrompt

MAX_UNFINISHED_CHARACTERS = 2000  # of a line whose end has not arrived; a longer one is ended


class Pause(Enum):
    """Why editing pauses. The line is removed from the screen, and drawn again later."""

    REDRAW = auto()
    STOP_PROCESS = auto()  # a signal to this process
    STOP_JOB = auto()  # the key, which stops the whole job


class NoAssistant:
    """An Assistant without completions."""

    prompt = "> "
    secret = False

    def complete(self, text: str) -> Iterable[tuple[str, str]]:
        return ()


class Prompt:
    """The prompt at the terminal `stdin` and `stdout`, with the history in the file `history`.

    `on_accept` is called with the buffer when Enter is pressed, and returns whether to keep its
    text. `on_command` is called with each typed command of `commands`. `unfinished` is the
    beginning of a line whose end has not arrived. It is shown above the prompt.
    """

    def __init__(
        self,
        stdin: TextIO,
        stdout: TextIO,
        history: str | None,
        on_accept: Callable[[Buffer], bool],
        on_command: Callable[[str], None],
    ) -> None:
        self.assistant: Assistant = NoAssistant()
        self.commands: CommandPrompt | None = None
        self._on_command = on_command
        self.unfinished = ""
        self._draft = Document()
        self._output = create_output(stdout)
        # A terminal's reply about its cursor is late in a flood, and some terminals never reply.
        self._output.enable_cpr = False  # type: ignore[attr-defined]
        self._session: PromptSession[Pause | None] = PromptSession(
            self._message,
            history=history_of(history),
            completer=_Completer(self),
            complete_while_typing=False,
            key_bindings=self._keys(),
            input_processors=[TabsProcessor(char1=" ", char2=" ")],
            erase_when_done=True,
            is_password=Condition(lambda: self.assistant.secret and not self._aside.open),
            input=keyboard(stdin),
            output=self._output,
        )
        self._session.default_buffer.accept_handler = on_accept
        self._aside = Aside(self._session.default_buffer)
        self._session.app.terminal_size_polling_interval = None  # SIGWINCH reports changes
        self._session.app.max_render_postpone_time = 0

    @property
    def assisted(self) -> bool:
        return not isinstance(self.assistant, NoAssistant)

    @property
    def editing(self) -> bool:
        """Whether the line is on the screen."""
        app = self._session.app
        return app.is_running and not app.is_done

    async def edit(self, on_begin: Callable[[], None]) -> Pause | None:
        """Edit until `pause`, then return its reason; or until `end`, then return None.

        Calls `on_begin` at the beginning. Raises EOFError for Ctrl-D, KeyboardInterrupt for Ctrl-C.
        """
        return await self._session.prompt_async(
            default=self._draft, handle_sigint=False, set_exception_handler=False, pre_run=on_begin
        )

    def complete(self, text: str) -> tuple[Completions, int]:
        """Completions for `text`, and how many characters at its end they replace."""
        if self._aside.open and self.commands:
            return self.commands.complete(text), len(text) - text.find(" ") - 1
        return self.assistant.complete(text), len(text) - text.rfind(" ") - 1

    def end_input(self) -> None:
        """Behave as for Ctrl-D."""
        if self.editing:
            self._session.app.exit(exception=EOFError())

    def pause(self, why: Pause) -> None:
        """Remove the line from the screen. The next `edit` continues it."""
        if self.editing:
            self._draft = self._session.default_buffer.document
            self._session.app.exit(result=why)

    def end(self) -> None:
        if self.editing:
            self._session.app.exit()

    def invalidate(self) -> None:
        """Draw the prompt again, soon. Call it in asyncio's thread."""
        self._session.app.invalidate()

    def show(self, text: str) -> None:
        """Print the whole lines of `text`, and keep the beginning of the next one."""
        text = self.unfinished + text
        lines, end, self.unfinished = text.rpartition("\n")
        if len(self.unfinished) > MAX_UNFINISHED_CHARACTERS or not self.editing:
            lines, end, self.unfinished = text, "", ""
        self.print(lines + end)

    def pop_unfinished(self) -> str:
        """Remove the unfinished line, and return it with an end, for the caller to print."""
        line, self.unfinished = self.unfinished, ""
        return f"{line}\n" if line else ""

    def end_unfinished(self) -> None:
        """Print the unfinished line, with an end."""
        if line := self.pop_unfinished():
            self.print(line)

    def print(self, text: str) -> None:
        """Print `text`, which must be safe to show. While editing, its last line is ended."""
        if self.editing:
            self._session.app.renderer.erase()
            self._session.app.invalidate()
            if text and not text.endswith("\n"):
                text += "\n"
        self._output.write_raw(text)
        self._output.flush()

    def _message(self) -> ANSI:
        above = f"{self.unfinished}\n" if self.unfinished else ""
        prompts = self.commands if self._aside.open and self.commands else self.assistant
        return ANSI(above + prompts.prompt)

    def _keys(self) -> KeyBindings:
        keys = KeyBindings()

        @keys.add("tab", filter=Condition(lambda: not (self.assisted or self._aside.open)))
        def _(event: KeyPressEvent) -> None:
            event.current_buffer.insert_text("\t")  # there is nothing to complete

        @keys.add("c-z")
        def _(event: KeyPressEvent) -> None:
            self.pause(Pause.STOP_JOB)

        @keys.add("c-\\")
        def _(event: KeyPressEvent) -> None:
            signal.raise_signal(signal.SIGQUIT)  # as the key does where no lines are edited

        @keys.add("c-c", filter=has_focus(DEFAULT_BUFFER) & Condition(self._typed))
        def _(event: KeyPressEvent) -> None:
            event.current_buffer.reset()

        self._add_command_keys(keys)
        return keys

    def _add_command_keys(self, keys: KeyBindings) -> None:
        line = has_focus(DEFAULT_BUFFER)
        aside = line & Condition(lambda: self._aside.open)

        # Eager, because prompt_toolkit has longer sequences that begin with these keys.
        @keys.add("c-]", filter=line, eager=True)
        def _(event: KeyPressEvent) -> None:
            if self.commands and not self._aside.open:
                self._aside.begin()

        @keys.add("c-c", filter=aside)
        @keys.add("escape", filter=aside, eager=True)
        @keys.add("c-d", filter=aside & ~Condition(self._typed))
        def _(event: KeyPressEvent) -> None:
            self._aside.end()

        @keys.add("enter", filter=aside)
        def _(event: KeyPressEvent) -> None:
            if command := self._aside.accept():
                self._on_command(command)

    def _typed(self) -> bool:
        return bool(self._session.default_buffer.text)


class _Completer(Completer):
    def __init__(self, prompt: Prompt) -> None:
        self._prompt = prompt

    def get_completions(self, document: Document, event: CompleteEvent) -> Iterable[Completion]:
        completions, typed = self._prompt.complete(document.text_before_cursor)
        for word, meaning in completions:
            yield Completion(word, -typed, display_meta=meaning)
