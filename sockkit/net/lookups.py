"""Resolves many addresses with one lookup per host, even for thousands of ports."""

from __future__ import annotations

import math
from functools import partial

from sockkit.core.address import Address
from sockkit.errors import SockkitError, TimedOut
from sockkit.net.context import Context
from sockkit.net.endpoint import Endpoint
from sockkit.net.internet import late_answer
from sockkit.net.loop import Loop
from sockkit.net.openers import resolve
from sockkit.net.waiting import Done, OnDone, Pending

Found = list[Endpoint]


class _Lookup:
    """The lookup of one host.

    `outcome` is None before the first answer, which came at the time `at`. `asked` is whether a
    lookup is under way.
    """

    def __init__(self) -> None:
        self.outcome: Found | SockkitError | None = None
        self.at = -math.inf
        self.asked = False
        self.waiting: dict[_Waiter, None] = {}

    def learn(self, outcome: Found | SockkitError, now: float) -> None:
        self.outcome, self.at = outcome, now
        waiting, self.waiting = self.waiting, {}
        for waiter in waiting:
            waiter.tell(outcome)


class _Waiter(Pending):
    """A call of `Lookups.resolve` that waits for the answer about `host`."""

    def __init__(self, host: _Lookup, address: Address, on_done: OnDone[Found]) -> None:
        self._host, self._address = host, address
        self._on_done: OnDone[Found] | None = on_done
        host.waiting[self] = None

    def cancel(self) -> None:
        self._on_done = None
        self._host.waiting.pop(self, None)

    def tell(self, outcome: Found | SockkitError) -> None:
        on_done, self._on_done = self._on_done, None
        if on_done:
            on_done(_with_port(outcome, self._address))


class Lookups:
    """Remembers the outcome for each host, also a failure, for `lifetime` seconds.

    Only one lookup of a host is under way at a time, even after a timeout. So a resolver that hangs
    costs one thread per host.
    """

    def __init__(self, lifetime: float) -> None:
        self._lifetime = lifetime
        self._hosts: dict[tuple[str, int], _Lookup] = {}

    def knows(self, loop: Loop, address: Address, family: int) -> bool:
        """Whether `resolve` would call back at once."""
        if address.host is None:
            return True
        host = self._hosts.get((address.host.lower(), family))
        return host is not None and self._is_fresh(host, loop)

    def _is_fresh(self, host: _Lookup, loop: Loop) -> bool:
        return host.outcome is not None and loop.now - host.at <= self._lifetime

    def resolve(
        self,
        context: Context,
        address: Address,
        family: int,
        on_done: OnDone[Found],
        timeout: float | None = None,
    ) -> Pending:
        """The same as `resolve` of net/openers.py, with the remembered outcomes."""
        if address.host is None:
            return resolve(context, address, family, on_done, timeout)
        loop = context.loop
        host = self._hosts.setdefault((address.host.lower(), family), _Lookup())
        if not self._is_fresh(host, loop):
            self._ask(context, host, address, family)
        if host.outcome is not None and self._is_fresh(host, loop):
            on_done(_with_port(host.outcome, address))
            return Done()
        waiter = _Waiter(host, address, on_done)
        if timeout is not None:
            late = late_answer(address.host, timeout)
            loop.later(timeout, partial(self._expire, loop, host, waiter, late))
        return waiter

    def _ask(self, context: Context, host: _Lookup, address: Address, family: int) -> None:
        if host.asked:
            return

        def found(outcome: Found | SockkitError) -> None:
            host.asked = False
            host.learn(outcome, context.loop.now)

        host.asked = True
        resolve(context, address, family, found)

    def _expire(self, loop: Loop, host: _Lookup, waiter: _Waiter, late: TimedOut) -> None:
        """Report the timeout to all that wait: later callers need not wait as long as the first."""
        if waiter in host.waiting:
            host.learn(late, loop.now)


def _with_port(outcome: Found | SockkitError, address: Address) -> Found | SockkitError:
    if isinstance(outcome, SockkitError):
        return outcome
    port = address.port
    return [Endpoint(family, (ip, port, *more)) for family, (ip, _, *more) in outcome]
