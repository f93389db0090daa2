"""The results of probing: the state of each target, and whether all of them mean success."""

from __future__ import annotations

from collections import Counter

from sockkit.core.address import Address
from sockkit.core.printable import escape
from sockkit.core.targets import show_target
from sockkit.core.units import show_seconds
from sockkit.errors import ConnectError, SockkitError, TimedOut
from sockkit.values import Value

OPEN = "open"  # the other states are named by their errors


class Result(Value):
    """The result for one target. It is open if `error` is None; connecting then took `seconds`."""

    address: Address
    seconds: float = 0.0
    error: SockkitError | None = None

    @property
    def state(self) -> str:
        """`open`, `refused`, `no answer`, or what else is wrong, as in `not resolved: …`."""
        return OPEN if not self.error else self.error.kind or str(self.error)

    def line(self) -> str:
        """A line for programs: the target, its state, and the milliseconds if it is open."""
        took = "" if self.error else f" {1000 * self.seconds:.1f}ms"
        return f"{show_target(self.address)} {escape(self.state)}{took}"


def result_of(address: Address, outcome: float | SockkitError) -> Result:
    """The result of an attempt: the seconds that it took, or what is wrong."""
    if isinstance(outcome, SockkitError):
        return Result(address, error=outcome)
    return Result(address, outcome)


class Rules(Value):
    """probe succeeds if every target is open, or with `any_one` if at least one is; with `wait`,
    within that many seconds. A `wait` of 0 tries each once.
    """

    any_one: bool = False
    wait: float | None = None


class Tally:
    """Counts the results of `targets` targets."""

    def __init__(self, targets: int) -> None:
        self._targets, self.open = targets, 0
        self._others: Counter[str] = Counter()
        self._first: SockkitError | None = None

    def add(self, result: Result) -> None:
        if result.error:
            self._first = self._first or result.error
            self._others[result.state.partition(":")[0]] += 1
        else:
            self.open += 1

    def satisfies(self, rules: Rules) -> bool:
        return self.open >= (1 if rules.any_one else self._targets)

    def failure(self, rules: Rules) -> SockkitError | None:
        """The error that ends the command; None for success."""
        if self.satisfies(rules):
            return None
        after = "" if rules.wait is None else f" after {show_seconds(rules.wait)}"
        if self._targets > 1:
            counts = ", ".join(f"{count:,} {state}" for state, count in self._others.most_common())
            are = "is" if self.open == 1 else "are"
            told = f"{self.open:,} of {self._targets:,} targets {are} open{after} ({counts})"
            return TimedOut(told) if after else ConnectError(told)
        assert self._first
        if not after:
            return self._first
        hint = self._first.hint or "allow more time with --wait"
        return TimedOut(f"not open{after}: {self._first.args[0]}", hint)
