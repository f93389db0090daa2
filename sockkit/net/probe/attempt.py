"""One attempt at one target: look it up, connect, and ask the question, if there is one."""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from sockkit.core.address import Address
from sockkit.net.context import Context
from sockkit.net.ends.end import End
from sockkit.net.lookups import Lookups
from sockkit.net.options import SocketOptions
from sockkit.net.tcp.dial import ConnectOptions, dial
from sockkit.net.waiting import OnDone, Pending, Start, Steps
from sockkit.values import Value

if TYPE_CHECKING:
    from sockkit.core.replies import Question
    from sockkit.net.tls.contexts import TlsSetup

MIN_SECONDS = 0.001  # the timeout of a step that begins when the time is already over


class AttemptOptions(Value):
    """The `timeout` of `connect` is for the whole attempt, and `lookups` replaces its `resolve`.

    `tls` has a setup for each host.
    """

    lookups: Lookups
    connect: ConnectOptions
    sockets: SocketOptions
    udp: bool = False
    question: Question | None = None
    tls: Mapping[str | None, TlsSetup] | None = None

    @property
    def connecting(self) -> ConnectOptions:
        return self.connect._replace(resolve=self.lookups.resolve)


def attempt(
    context: Context, options: AttemptOptions, address: Address, on_done: OnDone[float]
) -> Pending:
    """Call `on_done` with the seconds that connecting took, or that the answer over UDP took.

    Errors are those of `dial`, and SockkitError if the reply does not match.
    """
    if options.udp:
        from sockkit.net.probe.datagrams import ask_by_datagram

        return ask_by_datagram(context, options, address, on_done)
    return Steps(_by_stream(context, options, address), on_done)


def _by_stream(
    context: Context, options: AttemptOptions, address: Address
) -> Generator[Start[Any], Any, float]:
    loop, connect, question = context.loop, options.connecting, options.question
    deadline = loop.now + connect.timeout

    def left() -> float:
        return max(round(deadline - loop.now, 2), MIN_SECONDS)

    lookups, family = options.lookups, options.sockets.families()
    if not lookups.knows(loop, address, family):
        yield partial(lookups.resolve, context, address, family, timeout=connect.timeout)
        connect = connect._replace(timeout=left())
    began = time.perf_counter()
    end: End = yield partial(dial, context, address, connect, options.sockets)
    seconds = time.perf_counter() - began
    if options.tls:
        from sockkit.net.tls.handshake import secure

        setup = options.tls[address.host]._replace(timeout=left())
        end = yield partial(secure, context, end, setup)
    try:
        if question:
            from sockkit.net.probe.reply import Ask

            yield partial(Ask, loop, end, question, left())
    finally:
        end.close()
    return seconds
