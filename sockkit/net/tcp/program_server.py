"""Runs a program on one connection, or on each connection that a listener accepts."""

from __future__ import annotations

from collections.abc import Callable

from sockkit.core.programs import exit_status
from sockkit.errors import ProgramFailed
from sockkit.net.closing import Closer
from sockkit.net.context import Context
from sockkit.net.ends.end import End
from sockkit.net.join import JoinOptions
from sockkit.net.programs import Programs
from sockkit.net.tcp.listen import Listener
from sockkit.net.tcp.served import Outcome, Served, Shared, serve
from sockkit.net.waiting import Done, OnDone, Pending, wait_for


def run_one(
    context: Context, end: End, programs: Programs, make_options: Callable[[], JoinOptions] | None
) -> None:
    """Run a program on the connection `end`, and return when both have ended.

    Raises SockkitError, and ProgramFailed if only the program has failed.
    """
    shared = Shared(context, programs, Closer(context.loop, alone=True, polite=True), make_options)
    serving: list[Served] = []

    def start(done: OnDone[Outcome]) -> Pending:
        serving.append(serve(shared, end, lambda _, outcome: done(outcome)))
        serving[0].start()
        return Done()

    try:
        outcome = wait_for(context.loop, start)
    finally:
        for served in serving:
            served.close()
        shared.closer.close_all()
        programs.close()
    if outcome.error:
        outcome.error.so_far = outcome.totals
        raise outcome.error
    if outcome.code:
        raise ProgramFailed(exit_status(outcome.code))


class ProgramServer:
    """Starts a program for each connection. At the end it closes the listener and `programs`."""

    def __init__(
        self,
        context: Context,
        listener: Listener,
        programs: Programs,
        make_options: Callable[[], JoinOptions] | None,
    ) -> None:
        self._shared = Shared(context, programs, Closer(context.loop), make_options)
        self._listener = listener
        self._serving: set[Served] = set()

    def run(self) -> None:
        """Serve until a signal raises Stopped."""
        try:
            wait_for(self._shared.context.loop, self._start)
        finally:
            self._listener.close()
            for served in self._serving:
                served.close()
            self._shared.closer.close_all()
            self._shared.programs.close()

    def _start(self, _: OnDone[None]) -> Pending:
        self._listener.accept(self._accepted)
        return Done()

    def _accepted(self, end: End) -> None:
        self._shared.closer.make_space()
        served = serve(self._shared, end, self._closed)
        self._serving.add(served)
        served.start()

    def _closed(self, served: Served, outcome: Outcome) -> None:
        self._serving.discard(served)
        served.when_gone(self._listener.released)
        self._shared.context.emit(outcome.closed)
