"""chat join --udp: a client of a chat room over UDP, where each message is signed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from sockkit.apps.datagrams import DatagramOptions, Messages
from sockkit.apps.udp_client import UdpClient, converse
from sockkit.core.answers import AnswerOptions
from sockkit.core.chat.names import check_name
from sockkit.core.chat.protocol import refusal
from sockkit.core.text import TextOptions
from sockkit.errors import SockkitError, UsageError
from sockkit.net.context import Context
from sockkit.net.udp.open import UdpOptions

if TYPE_CHECKING:
    from sockkit.apps.chat_join import ChatJoin

QUIT_WORDS = ("q", "/quit")  # lines that leave the room


class RoomMessages(Messages):
    """A member's: they begin by saying who is there, and end by leaving the room.

    `refused` is what the first line means by which the room has refused something.
    """

    def __init__(self, options: DatagramOptions, context: Context, *, many: bool) -> None:
        super().__init__(options, context, many=many)
        self.refused: SockkitError | None = None
        self._quit_words = [word.encode(self._encoding) for word in QUIT_WORDS]
        self.hello = self.pack(b"")
        self.good_bye = self.pack(self._quit_words[-1])

    def before_quit(self, lines: list[bytes]) -> list[bytes]:
        for place, line in enumerate(lines):
            if line in self._quit_words:
                return lines[:place]
        return lines

    def decode(self, datagram: bytes) -> bytes:
        line = super().decode(datagram)
        self.refused = self.refused or refusal(line.decode(self._encoding, "surrogateescape"))
        return line


def run(config: ChatJoin, context: Context) -> None:
    """Return when the user has left. Raises SockkitError, also for what the room refused."""
    unknown = ((config.password is not None, "--password"), (config.reconnect, "--reconnect"))
    for given, option in unknown:
        if given:
            raise UsageError(f"a room over UDP has no {option}", "leave it out, or leave out --udp")
    datagrams = DatagramOptions(
        TextOptions(config.encoding, errors=config.errors),
        name=config.name or _login_name(context.environment),
        size=config.size,
        timestamps=config.timestamps,
    )
    client = UdpClient(
        config.address,
        config.sockets,
        UdpOptions(),
        datagrams,
        AnswerOptions(),
        config.connect,
    )
    messages = converse(client, context, RoomMessages)
    # A person sees it, and says it again.
    if messages.refused and not context.stdio.input.terminal:
        raise messages.refused


def _login_name(environment: Mapping[str, str]) -> str:
    """The user's name: LOGNAME or USER, or that of our user id, getpwuid(3)."""
    try:
        name = environment.get("LOGNAME") or environment.get("USER")
        if not name:
            import pwd

            name = pwd.getpwuid(os.getuid()).pw_name
        return check_name(name)
    except (ImportError, KeyError, UsageError) as error:
        raise UsageError("no name to sign with", "give --name") from error
