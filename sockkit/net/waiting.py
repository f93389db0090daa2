"""Work that reports its outcome to a callback: how to cancel it, chain it and wait for it.

A function with the parameter `on_done` calls it once, with the result, or with a SockkitError if
the work failed, and returns a `Pending`. Only `wait_for` runs the loop; commands use it. `Silence`
tells a person at a terminal, after a silence, what the command waits for.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, TypeVar

from sockkit.errors import SockkitError, without_traceback
from sockkit.events import Emit, Waiting
from sockkit.net.loop import Loop, Timer

T = TypeVar("T")

WONDER_SECONDS = 3.0  # after such a silence, a person at the terminal wonders what happens


class Pending:
    """Work that may not be done yet."""

    def cancel(self) -> None:
        """Close everything that the work has opened, and call no callback. Allowed at any time."""
        raise NotImplementedError


class Done(Pending):
    """Work that is done, or that its starter cancels by other means."""

    def cancel(self) -> None:
        pass


OnDone = Callable[[T | SockkitError], None]
Start = Callable[[OnDone[T]], Pending]  # starts the work, which may be done before this returns


def wait_for(loop: Loop, start: Start[T]) -> T:
    """Start work and run `loop` until it is done. Returns its result, or raises its SockkitError.

    If the loop raises anything else meanwhile, such as Stopped for a signal, the work is cancelled.
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


class Silence:
    """Emits Waiting with `text`, once, when `received` has not changed for WONDER_SECONDS.

    `received` returns how many bytes were received, or None while we wait for something else. The
    time begins with `start`. `stop` ends it, and may be called at any time.
    """

    def __init__(
        self, loop: Loop, emit: Emit, text: str, received: Callable[[], int | None]
    ) -> None:
        self._loop, self._emit, self._text = loop, emit, text
        self._received = received
        self._before: int | None = None
        self._timer: Timer | None = None

    def start(self) -> None:
        self._before = self._received()
        self._timer = self._loop.later(WONDER_SECONDS, self._review)

    def stop(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _review(self) -> None:
        received = self._received()
        if received is None or received != self._before:
            self.start()
        else:
            self._timer = None
            self._emit(Waiting(self._text))
