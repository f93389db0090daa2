"""How long udp-client waits for answers.

A UDP peer does not signal that it has finished. The caller reports each event with its time, and
asks how long to wait and whether silence is then an error. Times are seconds of any one clock.
"""

from __future__ import annotations

from sockkit.core.ending import idle_error
from sockkit.core.units import show_seconds
from sockkit.errors import TimedOut
from sockkit.values import Value

LINGER_SECONDS = 1.0  # of silence after the end of standard input, by default
REFUSAL_SECONDS = 0.05  # for a refusal to arrive where no answer is awaited


class AnswerOptions(Value):
    """How many answers to wait for, and how long in seconds.

    With `expect`, that many answers end the wait, which fails `timeout` after the end of stdin.
    Without `expect`, a silence of `linger` ends it; None means LINGER_SECONDS. `idle` bounds the
    silence of both sides at any time; None means no bound. With `recv_only` there is no input to
    end, so the wait begins at once, and `linger` has no default. With `send_only` no answer is
    awaited.
    """

    expect: int | None = None
    timeout: float = 10.0
    linger: float | None = None
    idle: float | None = None
    recv_only: bool = False
    send_only: bool = False

    @property
    def silence(self) -> float | None:
        """Seconds of silence that end the wait, without `expect`; None if none does."""
        if self.send_only:
            return REFUSAL_SECONDS
        return LINGER_SECONDS if self.linger is None and not self.recv_only else self.linger


class AnswerWait:
    """The wait of one client."""

    def __init__(self, options: AnswerOptions, now: float) -> None:
        self._options = options
        self._active_at = now
        self._input_ended_at = now if options.recv_only else None

    @property
    def active_at(self) -> float:
        """When something was last sent or received, or when stdin ended."""
        return self._active_at

    @property
    def counts(self) -> bool:
        """Whether the next answer may be the last one to wait for."""
        return self._input_ended_at is not None and self._options.expect is not None

    def active(self, at: float) -> None:
        """A datagram was sent or received."""
        self._active_at = max(self._active_at, at)

    def end_input(self, now: float) -> None:
        """Report the end of standard input: the wait for answers begins."""
        self._input_ended_at = self._active_at = now

    def bound(self, received: int) -> tuple[float, TimedOut | None] | None:
        """When the wait ends if no more answers than `received` arrive, and the error to raise
        then, if any. None if the wait has no bound yet.
        """
        bounds: list[tuple[float, TimedOut | None]] = []
        if (idle := self._options.idle) is not None:
            bounds.append((self._active_at + idle, idle_error(idle)))
        if self._input_ended_at is not None:
            bounds += self._end(self._input_ended_at, received)
        return min(bounds, default=None, key=lambda bound: bound[0])

    def _end(self, since: float, received: int) -> list[tuple[float, TimedOut | None]]:
        options = self._options
        if options.expect is None:
            silence = options.silence
            return [] if silence is None else [(self._active_at + silence, None)]
        if received >= options.expect:
            return [(since, None)]
        within = show_seconds(options.timeout)
        told = f"{received} of {options.expect} answers received within {within}"
        error = TimedOut(told, "allow more time with --connect-timeout")
        return [(since + options.timeout, error)]
