"""Work that reports its outcome to a callback: how to cancel it, chain it and wait for it.

A function with the parameter `on_done` calls it once, with the result or with the SockkitError
that prevented it, and returns a `Pending`. Only `wait_for` runs the loop; it is for the first
steps of a command.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, TypeVar

from sockkit.errors import SockkitError, without_traceback
from sockkit.net.loop import Loop

T = TypeVar("T")


class Pending:
    """Work that may not be done yet."""

    def cancel(self) -> None:
        """Close what it has opened and call nothing back. Allowed at any time."""
        raise NotImplementedError


class Done(Pending):
    """Work that is done, or that its starter ends in another way."""

    def cancel(self) -> None:
        pass


OnDone = Callable[[T | SockkitError], None]
Start = Callable[[OnDone[T]], Pending]  # starts the work, which may be done before this returns


def wait_for(loop: Loop, start: Start[T]) -> T:
    """Start work and run `loop` until it is done. Returns its result, or raises its SockkitError.

    The work is cancelled if the loop raises anything else meanwhile, as for a signal.
    """
    outcomes: list[T | SockkitError] = []

    def done(outcome: T | SockkitError) -> None:
        outcomes.append(outcome)
        loop.stop()

    work = start(done)
    try:
        while not outcomes:
            loop.run()
    except BaseException:
        work.cancel()
        raise
    outcome = outcomes[0]
    if isinstance(outcome, SockkitError):
        raise outcome
    return outcome


class Steps(Pending):
    """Work of several steps: a generator yields a Start for each, and receives its result.

    If a step fails, its SockkitError is raised in the generator. `on_done` is called with what
    the generator returns, or with the SockkitError that it raises.
    """

    def __init__(self, steps: Generator[Start[Any], Any, T], on_done: OnDone[T]) -> None:
        self._steps = steps
        self._on_done: OnDone[T] | None = on_done
        self._begun: list[Pending] = []
        self._next(None)

    def cancel(self) -> None:
        self._on_done = None
        for work in self._begun:
            work.cancel()
        self._steps.close()

    def _next(self, outcome: Any) -> None:
        try:
            if isinstance(outcome, SockkitError):
                start = self._steps.throw(outcome)
            else:
                start = self._steps.send(outcome)
        except StopIteration as end:
            self._end(end.value)
        except SockkitError as error:
            self._end(without_traceback(error))
        else:
            self._begun.append(start(self._next))

    def _end(self, outcome: Any) -> None:
        on_done, self._on_done = self._on_done, None
        if on_done:
            on_done(outcome)
