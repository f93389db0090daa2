"""Joins a server's table of commands, its console and the line editor."""

from __future__ import annotations

from collections.abc import Callable

from sockkit.core.console import CommandTable, Console
from sockkit.net.context import Context


def open_console(table: CommandTable, context: Context) -> Callable[[bytes], None]:
    """A console for the commands of `table`. Call it with what is typed, as it is read.

    No bytes mean the end of the input: at a terminal (Ctrl-D) that is `/quit`, from a pipe nothing.
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
