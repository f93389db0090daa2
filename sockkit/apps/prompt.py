"""The commands of the Ctrl-] prompt: what clients and servers offer there."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Protocol

from sockkit.core.command_prompt import (
    CommandPrompt,
    choice_command,
    hex_command,
    list_command,
)
from sockkit.core.console import Command, Completions
from sockkit.core.printable import escape
from sockkit.events import CommandsOffered, Peer
from sockkit.net.context import Context

if TYPE_CHECKING:
    from sockkit.net.views import Switch

MAX_PATHS = 200  # completed at once: nobody reads more, and a directory may have millions
MAX_ENTRIES = 20_000  # of a directory that are examined, which takes some 10 ms
KEY = "Ctrl-]"
NOBODY = "not connected"


class Speaker(Protocol):
    """The part of a client, or of a single conversation, that its commands need."""

    def peers(self) -> list[tuple[Peer, str]]:
        """The peer, with a text about it."""
        ...

    def say(self, data: bytes) -> None:
        """Send `data` unchanged, after the lines typed before. Raises UsageError."""
        ...


class Sender(Speaker, Protocol):
    """A Speaker that can also send files."""

    def send_file(self, path: str) -> None:
        """Send the file at `path` unchanged. Lines typed afterwards wait until it is sent.

        Raises UsageError.
        """
        ...


def offer_commands(context: Context, commands: Iterable[Command]) -> None:
    """Offer `commands` at the prompt of the line editor, if there is one, and say so."""
    if context.stdio.offer:
        switch = context.views.switch if context.views else None
        views = view_commands(switch) if switch else []
        context.stdio.offer(CommandPrompt([*commands, *views], context.emit))
        context.emit(CommandsOffered(KEY))


def client_commands(context: Context, sender: Sender) -> list[Command]:
    """The commands of a client."""
    file = file_command(context, sender.send_file)
    hexadecimal, *others = member_commands(context, sender)
    return [hexadecimal, file, *others]


def member_commands(context: Context, speaker: Speaker) -> list[Command]:
    """The commands of a member of a chat room, where files cannot be sent."""
    return [hex_command("hex", speaker.say), *listener_commands(context, speaker)]


def listener_commands(context: Context, speaker: Speaker) -> list[Command]:
    """The commands for a run in which typed lines are not sent."""
    return [list_command("list", speaker.peers, NOBODY, context.emit)]


def view_commands(switch: Switch) -> list[Command]:
    """The commands that change what is shown."""
    return [
        choice_command("view", "show bytes in hex, or as text", ("hex", "text"), switch.show_as),
        choice_command(
            "timestamps",
            "show the time before each line or message",
            ("on", "off"),
            lambda choice: switch.timestamps(choice == "on"),
        ),
    ]


def file_command(context: Context, send: Callable[[str], None]) -> Command:
    """The row of the command that sends a file by `send`."""
    home = context.environment.get("HOME", "")

    def complete(word: str) -> Completions:
        return complete_path(word, home)

    summary = "send the contents of a file"
    return Command("send-file", "PATH", summary, lambda path: send(_expand(path, home)), complete)


def complete_path(word: str, home: str) -> list[tuple[str, str]]:
    """Paths that begin with `word`, in which `~/` is the directory `home`. Directories end in `/`.

    Leaves out names that a terminal cannot show as they are, and hidden ones unless `word` begins
    one.
    """
    directory, name = word[: word.rfind("/") + 1], word[word.rfind("/") + 1 :]
    found = islice(_entries(_expand(directory, home) or ".", name), MAX_PATHS)
    return sorted((directory + entry, "") for entry in found)


def _entries(directory: str, begin: str) -> Iterator[str]:
    try:
        with os.scandir(directory) as entries:
            for entry in islice(entries, MAX_ENTRIES):
                hidden = entry.name.startswith(".") and not begin
                if entry.name.startswith(begin) and not hidden and _showable(entry.name):
                    yield f"{entry.name}/" if entry.is_dir() else entry.name
    except OSError:
        return  # there is nothing to complete


def _showable(name: str) -> bool:
    return name == escape(name) and name.isprintable()


def _expand(path: str, home: str) -> str:
    return home + path[1:] if home and path.startswith("~/") else path
