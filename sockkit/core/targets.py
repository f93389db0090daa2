"""Parses the targets of `probe`: `HOST:PORTS`, `[IPV6]:PORTS` and `unix:/PATH`.

PORTS are ports, service names and ranges, as in `22,80,8000-8100`. Two words alone may be
`HOST PORTS`. Targets are kept as ranges and made one by one, so a host needs no more memory with
all of its ports than with one. A port that is named twice is one target.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, takewhile

from sockkit.core.address import (
    Address,
    HostPort,
    ServiceLookup,
    parse_host,
    parse_port,
    parse_unix,
    show,
    split_port,
)
from sockkit.core.printable import escape
from sockkit.errors import UsageError
from sockkit.values import Value

_HINT = "write HOST:PORTS, as in db:5432 or 10.0.0.7:22,80,8000-8100"

_ONE_TARGET = range(1)  # the ports of a unix address


class Span(Value):
    """One address with a range of ports. Each of `ports` makes a target, by `with_port`."""

    address: Address
    ports: range


class Targets:
    """The targets of `spans`, in order."""

    def __init__(self, spans: Sequence[Span]) -> None:
        self.spans = spans

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Targets) and self.spans == other.spans

    def __len__(self) -> int:
        return sum(len(span.ports) for span in self.spans)

    def __iter__(self) -> Iterator[Address]:
        for span in self.spans:
            for port in span.ports:
                yield span.address.with_port(port)

    @property
    def width(self) -> int:
        """The length of the longest name."""
        return max(len(show_target(span.address.with_port(span.ports[-1]))) for span in self.spans)


def show_target(address: Address) -> str:
    """`db:5432`, `[::1]:80` or `unix:/path`: one word as people write it, safe to show."""
    if address.host is None or address.port is None:
        return escape(str(address))
    return escape(show(address.host, address.port))


def parse_targets(words: Sequence[str], service: ServiceLookup) -> Targets:
    """The targets that the words of a command line name. Raises UsageError."""
    if not words:
        raise UsageError("no target to probe", _HINT)
    if len(words) == 2 and _is_host(words[0]) and ":" not in words[1]:
        return _targets(_spans(parse_host(words[0]), words[1], service))
    spans: list[Span] = []
    for place, word in enumerate(words):
        unix = parse_unix(word)
        host, ports = ("", None) if unix or _is_ports(word) else split_port(word)
        if unix:
            spans.append(Span(unix, _ONE_TARGET))
        elif not ports:
            raise _no_port(words, place)
        else:
            spans += _spans(host, ports, service)
    return _targets(spans)


def _is_host(word: str) -> bool:
    return not (parse_unix(word) or _is_ports(word)) and split_port(word)[1] is None


def _no_port(words: Sequence[str], place: int) -> UsageError:
    """The error for a word without a port. It may itself be a port, or ports may follow it."""
    word = words[place]
    if _is_ports(word):
        before = words[place - 1] if place else "unix:"
        meant = f"HOST:{word}" if before.startswith("unix:") else f"{before},{word}"
        return UsageError(f"{word!r} has no host", f"write {meant}")
    host = word.removesuffix(":")
    if ":" in host and not host.startswith("["):
        return UsageError(f"{word!r} has no port", "write [IPV6]:PORTS, as in [::1]:80")
    ports = ",".join(takewhile(_is_ports, words[place + 1 :]))
    command = ", or put -- before a COMMAND" if place and not ports else ""
    return UsageError(f"{word!r} has no port", f"write {host}:{ports or 'PORTS'}{command}")


def _is_ports(word: str) -> bool:
    return set(word) <= set("0123456789,-")


def _spans(host: str, ports: str, service: ServiceLookup) -> list[Span]:
    return [Span(HostPort(host, part[0]), part) for part in parse_ports(ports, service)]


def parse_ports(text: str, service: ServiceLookup) -> list[range]:
    """The ranges in `22,http,8000-8100`. Raises UsageError."""
    parts = text.split(",")
    if not all(parts):
        raise UsageError(f"a port is missing in {text!r}", "write ports as in 22,80,8000-8100")
    return [_parse_part(part, service) for part in parts]


def _parse_part(part: str, service: ServiceLookup) -> range:
    first, dash, last = part.partition("-")
    if not (dash and first.isdecimal()):  # the name of a service may have a dash
        port = parse_port(part, service)
        return range(port, port + 1)
    if not last:
        raise UsageError(f"{part!r} has no end", f"write {part}65535 for all ports from {first} up")
    low, high = parse_port(first, service), parse_port(last, service)
    if low > high:
        raise UsageError(f"{part!r} ends before it begins", f"write {high}-{low}")
    return range(low, high + 1)


def _targets(spans: list[Span]) -> Targets:
    """`spans` without the ports that an earlier one has."""
    places: dict[str, list[int]] = {}  # where each host's spans are
    for place, (address, _) in enumerate(spans):
        key = str(address) if address.host is None else address.host.lower()
        places.setdefault(key, []).append(place)
    fresh: list[Sequence[Span]] = [()] * len(spans)
    for of_host in places.values():
        taken = 0  # a bit for each port: 8 KiB, so only for one host at a time
        for place in of_host:
            address, ports = spans[place]
            bits = ((1 << len(ports)) - 1) << ports[0]
            fresh[place] = [Span(address.with_port(run[0]), run) for run in _runs(bits & ~taken)]
            taken |= bits
    return Targets([*chain.from_iterable(fresh)])


def _runs(bits: int) -> Iterator[range]:
    """The ranges of consecutive bits that are set."""
    while bits:
        low = (bits & -bits).bit_length() - 1
        rest = bits >> low
        size = (~rest & (rest + 1)).bit_length() - 1
        yield range(low, low + size)
        bits = (rest >> size) << (low + size)
