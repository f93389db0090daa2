"""What the tests of probing share: attempts that a test decides."""

from __future__ import annotations

import errno
from typing import Any

from sockkit.core.address import Address, HostPort
from sockkit.core.targets import Targets, parse_targets
from sockkit.errors import ConnectError, SockkitError
from sockkit.net.waiting import OnDone, Pending

REFUSED = ConnectError("could not connect", kind="refused")


def targets(words: str) -> Targets:
    return parse_targets(words.split(), lambda _: None)


def host(port: int) -> HostPort:
    return HostPort("h", port)


def no_socket() -> ConnectError:
    """The error of a system that has no socket for us."""
    error = ConnectError("too many open files")
    error.__cause__ = OSError(errno.EMFILE, "Too many open files")
    return error


class Attempts:
    """Attempts that are under way until `end`. Those at ports in `at_once` end as they begin."""

    def __init__(self, at_once: dict[int, Any] | None = None) -> None:
        self.begun: list[int] = []
        self.under_way: dict[int, OnDone[float]] = {}
        self.most = 0
        self.cancelled: list[int] = []
        self._at_once = at_once or {}

    def __call__(self, address: Address, on_done: OnDone[float]) -> Pending:
        assert address.port
        self.begun.append(address.port)
        if address.port in self._at_once:
            on_done(self._at_once[address.port])
        else:
            self.under_way[address.port] = on_done
            self.most = max(self.most, len(self.under_way))
        return _Attempt(self, address.port)

    def end(self, port: int, outcome: float | SockkitError = 0.0) -> None:
        self.under_way.pop(port)(outcome)


class _Attempt(Pending):
    def __init__(self, attempts: Attempts, port: int) -> None:
        self._attempts, self._port = attempts, port

    def cancel(self) -> None:
        self._attempts.under_way.pop(self._port, None)
        self._attempts.cancelled.append(self._port)
