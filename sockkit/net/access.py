"""Prepares an access list: reads the files of rules, and resolves the names in them, once."""

from __future__ import annotations

import socket
from collections.abc import Generator, Sequence
from functools import partial
from typing import Any

from sockkit.core.access import AccessList, Network, of_address, parse_rules
from sockkit.core.address import Address, HostPort
from sockkit.errors import ResolveError, TimedOut, UsageError
from sockkit.events import Notice
from sockkit.net.context import Context
from sockkit.net.endpoint import Endpoint
from sockkit.net.files import read_text
from sockkit.net.openers import opener, resolve
from sockkit.net.waiting import OnDone, Pending, Start, Steps
from sockkit.values import Value

MAX_LOOKUP_SECONDS = 10.0  # for one name; the server does not start if a name is not found

Rule = Network | str
_Placed = Sequence[tuple[str, Rule]]  # the option or file and line of each rule, for errors
_Steps = Generator[Start[list[Endpoint]], list[Endpoint], Any]


class AccessOptions(Value):
    """The rules of the command line, and the paths of the files that hold more rules."""

    allow: tuple[Rule, ...] = ()
    deny: tuple[Rule, ...] = ()
    allow_file: tuple[str, ...] = ()
    deny_file: tuple[str, ...] = ()


def prepare(
    context: Context, options: AccessOptions, address: Address, on_done: OnDone[AccessList]
) -> Pending:
    """Make the access list of a server that listens on `address`.

    A name stands for all its addresses, of both families. `on_done` gets UsageError for wrong
    options, and ResolveError if a name is not found within MAX_LOOKUP_SECONDS.
    """
    return Steps(_prepare(context, options, address), on_done)


def _prepare(context: Context, options: AccessOptions, address: Address) -> _Steps:
    if not opener(address).ip:
        raise UsageError(f"clients of {address} have no IP address", "remove --allow and --deny")
    allow = _placed("--allow", options.allow, options.allow_file)
    deny = _placed("--deny", options.deny, options.deny_file)
    if options.allow_file and not allow:
        context.emit(Notice("nobody is allowed to connect: --allow-file has no rules"))
    denied = yield from _networks(context, deny)
    if not (options.allow or options.allow_file):
        return AccessList(None, denied)
    allowed = yield from _networks(context, allow)
    return AccessList(allowed, denied)


def _placed(option: str, rules: Sequence[Rule], files: Sequence[str]) -> _Placed:
    return [
        *((option, rule) for rule in rules),
        *(placed for path in files for placed in parse_rules(read_text(path), path)),
    ]


def _networks(context: Context, rules: _Placed) -> _Steps:
    networks: list[Network] = []
    for place, rule in rules:
        if isinstance(rule, Network):
            networks.append(rule)
            continue
        look_up = partial(resolve, context, HostPort(rule, 0), socket.AF_UNSPEC)
        try:
            found = yield partial(look_up, timeout=MAX_LOOKUP_SECONDS)
        except (ResolveError, TimedOut) as error:
            raise ResolveError(f"{place}: {error.args[0]}") from error
        networks += [of_address(end.address[0], *end.address[3:]) for end in found]
    return networks
