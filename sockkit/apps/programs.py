"""The programs of --exec and --shell: which options they exclude, and how they get a connection."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from sockkit.apps.conversation import ConversationOptions
from sockkit.core.ending import EndOptions, Until
from sockkit.core.programs import word_for_a_shell
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

    `excluded` are the values, by name, of options that have no effect with a program.
    """
    from sockkit.net.programs import Programs

    for name, value in excluded.items():
        if value is not None and value is not False:
            option = "--" + name.replace("_", "-")
            raise UsageError(f"{option} cannot be used with --exec or --shell", "remove it")
    if word := word_for_a_shell(words):
        told = f"--exec uses no shell, so {word!r} is an argument of {words[0]}: try --shell"
        context.emit(Notice(told))
    context.loop.when_hung_up(-1, None)  # prepares now, while a descriptor is free
    return Programs(context, words)


def join_options(
    context: Context,
    conversation: ConversationOptions,
    *,
    fragile: bool,
    buffer_size: int | None,
) -> Callable[[], JoinOptions] | None:
    """A function that makes the options of one connection; None if programs get the socket itself.

    `fragile` is as in `when_to_half_close`. Then we keep the connection, to decide when to
    half-close.
    """
    plain = conversation.text._replace(errors=None) == TextOptions()
    seen = context.views is not None
    if (
        plain
        and not (fragile or seen)
        and conversation._replace(text=TextOptions()) == NOTHING_ASKED
    ):
        return None
    from sockkit.net.join import JoinOptions

    user, text = context.stdio.encoding, conversation.text
    writes = text._replace(hex_input=False, escape_input=False)  # not for its output

    def make() -> JoinOptions:
        outbound = writes.outbound(user, "the program's output")
        greets = text.outbound(user, "--greet") if text.notation else outbound
        greeting = os.fsencode(conversation.greet)
        return JoinOptions(
            _ending(conversation, fragile=fragile),
            outbound,
            text.inbound(user),
            greets.feed(greeting) + greets.flush() if greets else greeting,
            buffer_size,
        )

    return make


NOTHING_ASKED = ConversationOptions(TextOptions())


def _ending(conversation: ConversationOptions, *, fragile: bool) -> EndOptions:
    half_close = conversation.when_to_half_close(fragile)
    until = conversation.until or Until.BOTH
    return EndOptions(until, conversation.linger, conversation.idle, half_close, patient=True)


def warn_of_strangers(
    context: Context, bound: Bound, access: AccessOptions | None, tls: ServerTls | None
) -> None:
    """Warn if anybody who can reach the server can run the program."""
    from sockkit.net.tcp.listen import is_local

    admits = bool(access and (access.allow or access.allow_file)) or bool(tls and tls.client_ca)
    if bound.port is not None and not is_local(bound.address) and not admits:
        told = "anyone who can reach this port can run the program: restrict it with --allow"
        context.emit(Notice(told))
