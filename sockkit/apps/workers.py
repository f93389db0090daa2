"""Serves one port with several worker processes, each with sockets and a loop of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from sockkit.errors import SockkitError, UsageError
from sockkit.events import Emit
from sockkit.net.context import Context
from sockkit.net.loop import Loop
from sockkit.net.openers import opener
from sockkit.net.options import SocketOptions
from sockkit.net.tcp.listen import ListenOptions


class Sockets(Protocol):
    """The sockets on which one worker listens. `port` is None on a unix socket."""

    @property
    def port(self) -> int | None: ...

    def adopt(self, context: Context, number: int, of: int) -> None:
        """Use the loop of a forked process: it is worker `number`, from 1, `of` so many."""

    def close(self) -> None: ...


S = TypeVar("S", bound=Sockets)
Open = Callable[[Context, ListenOptions, SocketOptions], S]


def check_workers(count: int, listen: ListenOptions, given: dict[str, bool]) -> None:
    """Raise UsageError for what several workers cannot have: what is `given`, and a unix socket."""
    if count == 1:
        return
    if not opener(listen.address).workers:
        told = f"--workers cannot be used with {opener(listen.address).name}"
        raise UsageError(told, "remove it")
    for what, is_given in given.items():
        if is_given:
            raise UsageError(f"--workers cannot be used with {what}", "remove one of them")


def open_sockets(
    count: int, context: Context, listen: ListenOptions, sockets: SocketOptions, open_one: Open[S]
) -> list[S]:
    """Open the sockets of each worker, all on one port. Emits what the first one's emit.

    Raises BindError, ResolveError, UsageError.
    """
    if count == 1:
        return [open_one(context, listen, sockets)]
    silent = context._replace(emit=lambda _: None)
    if not sockets.reuse_port:
        # SO_REUSEPORT would share the port of another program: check that it is free.
        open_one(silent, listen, sockets).close()
    sockets = sockets._replace(reuse_port=True)
    opened = [open_one(context, listen, sockets)]
    try:
        if port := opened[0].port:
            listen = listen._replace(address=listen.address.with_port(port))
        for _ in range(1, count):
            opened.append(open_one(silent, listen, sockets))  # noqa: PERF401 (closed on an error)
    except SockkitError:
        for each in opened:
            each.close()
        raise
    return opened


def serve(context: Context, opened: list[S], serve_one: Callable[[Context, S], None]) -> None:
    """Call `serve_one` in a process for each of `opened`, or here if it is the only one.

    Returns when that does, or raises Stopped after a signal. Raises SockkitError.
    """
    if len(opened) == 1:
        serve_one(context, opened[0])
        return
    from sockkit.net.workers import Workers

    def work(number: int, loop: Loop, emit: Emit) -> None:
        own, own_context = opened[number - 1], context._replace(loop=loop, emit=emit)
        own.adopt(own_context, number, len(opened))
        serve_one(own_context, own)

    Workers(context.loop, len(opened), work, context.emit).run()
