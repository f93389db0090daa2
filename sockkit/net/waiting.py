"""Work whose outcome is told to a callback: how it is cancelled, chained, and waited for.

Whatever takes `on_done` calls it once, with the result or with the SockkitError that prevented it,
and returns a `Pending`. Nothing of it turns the loop but `wait_for`, which is for the first steps
of a command.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, TypeVar

from sockkit.errors import SockkitError
from sockkit.net.loop import Loop

T = TypeVar("T")


class Pending:
    """Work under way."""

    def cancel(self) -> None:
        """Close what it has opened, and tell nobody its outcome. Allowed at any time."""
        raise NotImplementedError


class Done(Pending):
    """What is no longer pending."""

    def cancel(self) -> None:
        pass


OnDone = Callable[[T | SockkitError], None]
Start = Callable[[OnDone[T]], Pending]  # begins the work; may be done before it returns


def wait_for(loop: Loop, start: Start[T]) -> T:
    """Run `loop` until what `start` begins is done. Raises its SockkitError.

    It is cancelled when anything else is raised meanwhile, as by a signal.
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
    """Work of several steps: `steps` yields a Start for each, and is sent what came of it.

    A SockkitError is raised in it instead. What `steps` returns is told to `on_done`, or the
    SockkitError that it raises.
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
            self._end(error)
        else:
            self._begun.append(start(self._next))

    def _end(self, outcome: Any) -> None:
        on_done, self._on_done = self._on_done, None
        if on_done:
            on_done(outcome)
