"""The person who types at a server: the console, and the line editor that helps."""

from __future__ import annotations

from collections.abc import Callable

from sockkit.core.console import CommandTable, Console
from sockkit.net.context import Context


def operate(table: CommandTable, context: Context) -> Callable[[bytes], None]:
    """What obeys the lines that are typed, by `table`. It gets them as they are read.

    The end of what is typed at a terminal (Ctrl-D) is `/quit`; the end of a pipe ends nothing.
    """
    stdio = context.stdio
    console = Console(table, context.emit)
    stdio.assist(console)

    def typed(data: bytes) -> None:
        prompt = console.prompt
        console.feed(data)
        if console.prompt != prompt:
            stdio.assist(console)
        if not data and stdio.input.terminal:
            table.quit()

    return typed
