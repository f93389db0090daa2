"""Connects a server's table of commands with its console, the line editor and the Ctrl-] prompt."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from sockkit.core.console import Command, CommandTable, Console
from sockkit.net.context import Context

if TYPE_CHECKING:
    from sockkit.core.server_console import PeerCommands


def open_console(
    table: CommandTable, context: Context, others: Sequence[Command] = ()
) -> Callable[[bytes], None]:
    """A console for the commands of `table`: a function to call with typed bytes as they are read.

    Empty bytes are the end of the input: at a terminal (Ctrl-D) it means `/quit`, from a pipe
    nothing. The prompt has the same commands without a slash, and `others`.
    """
    stdio = context.stdio
    console = Console(table, context.emit)
    stdio.assist(console)
    prompt = console.prompt

    def review() -> None:
        nonlocal prompt
        if console.prompt != prompt:
            prompt = console.prompt
            stdio.assist(console)

    def typed(data: bytes) -> None:
        console.feed(data)
        review()
        if not data and stdio.input.terminal:
            table.quit()

    if stdio.offer:
        from sockkit.apps.prompt import offer_commands

        offer_commands(context, [*_without_slash(table.commands, review), *others])
    return typed


def open_peer_console(table: PeerCommands, context: Context) -> Callable[[bytes], None]:
    """A console as of `open_console`, for a server that can send files."""
    others = []
    if context.stdio.offer:
        from sockkit.apps.prompt import file_command

        others.append(file_command(context, table.send_file))
    return open_console(table, context, others)


def _without_slash(commands: Sequence[Command], done: Callable[[], None]) -> Iterator[Command]:
    """The commands that begin with a slash, without it. `done` is called after each."""

    def then_done(action: Callable[[str], None], argument: str) -> None:
        action(argument)
        done()

    for command in commands:
        if command.summary and command.name.startswith("/"):
            action = partial(then_done, command.action)
            yield command._replace(name=command.name[1:], action=action)
