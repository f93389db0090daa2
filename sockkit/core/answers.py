"""When a client of datagrams is done: the rules for udp-client.

Nothing tells that a peer has ended. The rules are told what happens and when; they answer until
when to wait for more, and what it means if nothing comes. Times are seconds of any one clock.
"""

from __future__ import annotations

from sockkit.core.ending import idle_error
from sockkit.core.units import show_seconds
from sockkit.errors import TimedOut
from sockkit.values import Value

LINGER_SECONDS = 1.0  # without an answer that end it once standard input has ended


class AnswerOptions(Value):
    """How many answers to wait for, and how long; times are seconds.

    With `expect` that many answers end it, and `timeout` after the end of standard input is
    too long to wait for them. Without it a silence of `linger` does, None for LINGER_SECONDS.
    `idle`, if given, bounds the silence of both sides at any time.
    """

    expect: int | None = None
    timeout: float = 10.0
    linger: float | None = None
    idle: float | None = None


class AnswerWait:
    """How long one client waits. `counts` is whether any answer may now be the last one."""

    def __init__(self, options: AnswerOptions, now: float) -> None:
        self._options = options
        self._active_at = now
        self._input_ended_at: float | None = None

    @property
    def counts(self) -> bool:
        return self._input_ended_at is not None and self._options.expect is not None

    def active(self, at: float) -> None:
        """Something was sent or received."""
        self._active_at = max(self._active_at, at)

    def end_input(self, now: float) -> None:
        """Standard input has ended: answers are waited for from now on."""
        self._input_ended_at = self._active_at = now

    def bound(self, received: int) -> tuple[float, TimedOut | None] | None:
        """When the wait is over, after `received` answers, and the error if that is too early."""
        bounds: list[tuple[float, TimedOut | None]] = []
        if (idle := self._options.idle) is not None:
            bounds.append((self._active_at + idle, idle_error(idle)))
        if self._input_ended_at is not None:
            bounds.append(self._end(self._input_ended_at, received))
        return min(bounds, default=None, key=lambda bound: bound[0])

    def _end(self, since: float, received: int) -> tuple[float, TimedOut | None]:
        options = self._options
        if options.expect is None:
            linger = LINGER_SECONDS if options.linger is None else options.linger
            return self._active_at + linger, None
        if received >= options.expect:
            return since, None
        within = show_seconds(options.timeout)
        return since + options.timeout, TimedOut(
            f"{received} of {options.expect} answers came within {within}"
        )
