"""The programs of --exec and --shell: what excludes them, and how they get a connection."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from sockkit.apps.conversation import ConversationOptions
from sockkit.core.ending import EndOptions, HalfClose, Until
from sockkit.core.text import TextOptions
from sockkit.errors import UsageError
from sockkit.events import Notice
from sockkit.net.context import Context

if TYPE_CHECKING:
    from sockkit.net.access import AccessOptions
    from sockkit.net.join import JoinOptions
    from sockkit.net.programs import Programs
    from sockkit.net.tcp.listen import Bound
    from sockkit.net.tls.options import ServerTls

MAX_PROGRAMS = 100  # of a server at a time, unless --max-connections says otherwise


def find_program(context: Context, words: Sequence[str], **excluded: object) -> Programs:
    """The programs of a run. Raises UsageError, before anything is dialled or bound.

    `excluded` are the values of options that a program leaves nothing to do for.
    """
    from sockkit.net.programs import Programs

    for name, value in excluded.items():
        if value is not None and value is not False:
            told = f"--{name} and a program exclude each other"
            raise UsageError(told, "the program answers, and nothing is shown here")
    return Programs(context, words)


def join_options(
    context: Context,
    conversation: ConversationOptions,
    *,
    encrypted: bool,
    fragile: bool,
    buffer_size: int | None,
) -> Callable[[], JoinOptions] | None:
    """A function that makes the options of one connection; None to give it the socket itself.

    `fragile` is as for a session.
    """
    plain = conversation.text._replace(errors=None) == TextOptions()
    if plain and not encrypted and conversation._replace(text=TextOptions()) == NOTHING_ASKED:
        return None
    from sockkit.net.join import JoinOptions

    user = context.stdio.encoding

    def make() -> JoinOptions:
        outbound = conversation.text.outbound(user, "what the program writes")
        greeting = os.fsencode(conversation.greet)
        return JoinOptions(
            _ending(conversation, fragile=fragile),
            outbound,
            conversation.text.inbound(user),
            outbound.feed(greeting) if outbound else greeting,
            buffer_size,
        )

    return make


NOTHING_ASKED = ConversationOptions(TextOptions())


def _ending(conversation: ConversationOptions, *, fragile: bool) -> EndOptions:
    half_close = conversation.half_close or (HalfClose.AUTO if fragile else HalfClose.NOW)
    until = conversation.until or Until.BOTH
    return EndOptions(until, conversation.linger, conversation.idle, half_close, patient=True)


def warn_of_strangers(
    context: Context, bound: Bound, access: AccessOptions | None, tls: ServerTls | None
) -> None:
    """Say it if anybody who reaches the server can run the program."""
    from sockkit.net.tcp.listen import is_local

    admits = bool(access and (access.allow or access.allow_file)) or bool(tls and tls.client_ca)
    if bound.port is not None and not is_local(bound.address) and not admits:
        told = "anybody who can reach this port runs the program: --allow says who may"
        context.emit(Notice(told))
