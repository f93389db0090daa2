"""The one place that waits for an outcome by turning the loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from sockkit.errors import SockkitError
from sockkit.net.loop import Loop

T = TypeVar("T")


def wait_for(loop: Loop, start: Callable[[Callable[[T | SockkitError], None]], object]) -> T:
    """Start something, and turn `loop` until it reports. Raises what it reports, if an error."""
    outcomes: list[T | SockkitError] = []

    def done(outcome: T | SockkitError) -> None:
        outcomes.append(outcome)
        loop.stop()

    start(done)
    if not outcomes:
        loop.run()
    outcome = outcomes[0]
    if isinstance(outcome, SockkitError):
        raise outcome
    return outcome
