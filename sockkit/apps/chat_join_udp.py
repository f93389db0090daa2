"""chat join --udp: a client of a chat room over UDP, where each message is signed."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from sockkit.apps.datagrams import DatagramOptions, Messages
from sockkit.apps.udp_client import UdpClient, run_exchange
from sockkit.core.answers import AnswerOptions
from sockkit.core.chat.protocol import QUIT_WORDS, refusal
from sockkit.core.text import TextOptions
from sockkit.errors import REFUSED, SendError, SockkitError, UsageError, raise_error
from sockkit.net.context import Context
from sockkit.net.udp.open import UdpOptions

if TYPE_CHECKING:
    from sockkit.apps.chat_join import ChatJoin


class RoomMessages(Messages):
    """A member's messages: the first one joins the room, the last one leaves it.

    `refused` is the error for the first line in which the room refused something. If it refuses the
    member, that ends the run.
    """

    def __init__(self, options: DatagramOptions, context: Context, *, many: bool) -> None:
        super().__init__(options, context, many=many)
        self._loop = context.loop
        self.refused: SockkitError | None = None
        self._quit_words = [word.encode(self._encoding) for word in QUIT_WORDS]
        self.hello = self.pack(b"")
        self.good_bye = self.pack(self._quit_words[-1])
        self._packed = 0  # these are no lines of the input

    def before_quit(self, lines: list[bytes]) -> list[bytes]:
        for place, line in enumerate(lines):
            if line in self._quit_words:
                return lines[:place]
        return lines

    def decode(self, datagram: bytes) -> bytes:
        line = super().decode(datagram)
        refused = refusal(line.decode(self._encoding, "surrogateescape"))
        if refused and not isinstance(refused, SendError):
            self._loop.call_soon(partial(raise_error, refused))  # after the line is shown
        self.refused = self.refused or refused
        return line


def run(config: ChatJoin, context: Context) -> None:
    """Return when the user has left. Raises SockkitError, also for a refusal by the room."""
    unknown = ((config.password is not None, "--password"), (config.reconnect, "--reconnect"))
    for given, option in unknown:
        if given:
            raise UsageError(f"{option} cannot be used with --udp", "remove one of them")
    if config.name is None:
        raise UsageError("a room over UDP needs your name", "give --name NAME")
    datagrams = DatagramOptions(
        TextOptions(config.encoding, errors=config.errors),
        name=config.name,
        timestamps=config.timestamps,
    )
    client = UdpClient(
        config.address,
        config.sockets,
        UdpOptions(),
        datagrams,
        AnswerOptions(idle=config.idle),
        config.connect,
    )
    try:
        messages = run_exchange(client, context, RoomMessages)
    except SockkitError as error:
        if error.kind == REFUSED:
            error.hint = "start the room first, or leave out --udp if it is one over TCP"
        raise
    # A person has seen it, and may try again.
    if messages.refused and not context.stdio.input.terminal:
        raise messages.refused
