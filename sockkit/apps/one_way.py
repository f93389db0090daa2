"""Checks which options --recv-only and --send-only exclude."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from sockkit.errors import UsageError


class OneWay(Protocol):
    """The options of a command that may only receive, or only send."""

    @property
    def recv_only(self) -> bool: ...

    @property
    def send_only(self) -> bool: ...


def check_one_way(
    options: OneWay, without_input: Mapping[str, object], without_output: Mapping[str, object]
) -> None:
    """Raise UsageError for options that exclude each other.

    Both mappings are values of options by their names. `without_input` are options that have no
    effect if standard input is not read, `without_output` if received bytes are dropped.
    """
    if options.recv_only:
        _exclude("--recv-only", {"send_only": options.send_only, **without_input})
    elif options.send_only:
        _exclude("--send-only", without_output)


def _exclude(option: str, others: Mapping[str, object]) -> None:
    for name, value in others.items():
        if value is not None and value is not False:
            other = "--" + name.replace("_", "-")
            raise UsageError(f"{option} cannot be used with {other}", "remove one of them")
