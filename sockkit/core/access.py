"""Access lists: the rules that say which addresses may connect or send datagrams.

A rule is a network, an address or a name. Names are resolved elsewhere: a list contains only
networks. An IPv4 address that is mapped into IPv6, `::ffff:10.0.0.7`, is that IPv4 address, in
rules as well as in peers (RFC 4291, 2.5.5.2), so that nobody bypasses a rule by writing an address
in another way.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_interface

from sockkit.errors import UsageError
from sockkit.values import Value

MAX_REMEMBERED = 4096  # decisions: about a megabyte, however many addresses somebody forges
DENIED, NOT_ALLOWED = "denied by --deny", "not allowed by --allow"
_HINT = "write it as 10.0.0.7, 10.0.0.0/8, 2001:db8::/32 or a.example"

# What the system's resolver would take for an IPv4 address: `10.1` is 10.0.0.1, inet_aton(3).
_NUMBERS = re.compile(r"(0[xX][0-9a-fA-F]*|\d+)(\.(0[xX][0-9a-fA-F]*|\d+))*\.?")
_NAME = re.compile(r"[\w.-]+")


class Network(Value):
    """The addresses of IP `version` whose bits above the last `host_bits` are `prefix`.

    `scope` is the number of the only interface that they count for; 0 is for all interfaces.
    """

    version: int
    host_bits: int
    prefix: int
    scope: int = 0


def parse_rule(text: str) -> Network | str:
    """The network that `text` describes, or the name in it.

    An address with a scope, `fe80::1%eth0`, counts as a name: only the system knows the number of
    the interface. Raises UsageError.
    """
    word = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    try:
        found = ip_interface(word)
    except ValueError:
        if _is_range(word):
            raise UsageError(
                f"{text!r} is a range", "write it as networks, such as 10.0.0.0/28"
            ) from None
        if _NUMBERS.fullmatch(word) or not _NAME.fullmatch(word):
            raise UsageError(f"{text!r} is not an address, network or name", _HINT) from None
        return word
    if "%" in word:
        if "/" in word:
            raise UsageError(f"{text!r} is a network with an interface", "remove the %INTERFACE")
        return word
    address, network = found.ip, found.network
    if address != network.network_address:  # a guess could let in many more than was meant
        raise UsageError(
            f"{text!r} could be the address or its network", f"write {address} or {network}"
        )
    host_bits = network.max_prefixlen - network.prefixlen
    return _network(address, host_bits)


def _is_range(word: str) -> bool:
    """Whether `word` is a range: two addresses with a hyphen, or 10.0.0.1-9."""
    first, _, last = word.partition("-")
    try:
        ip_address(first)
    except ValueError:
        return False
    return bool(re.fullmatch(r"[0-9a-fA-F.:]+", last))


def of_address(host: str, scope: int = 0) -> Network:
    """The network of one numeric address. `scope` is the number of its interface, if it has one."""
    return _network(ip_address(host), 0, scope)


def _network(address: IPv4Address | IPv6Address, host_bits: int, scope: int = 0) -> Network:
    if isinstance(address, IPv6Address) and address.ipv4_mapped and host_bits <= 32:
        address = address.ipv4_mapped
    return Network(address.version, host_bits, int(address) >> host_bits, scope)


def parse_rules(text: str, where: str) -> list[tuple[str, Network | str]]:
    """The rules of a file, one a line, each with its place; `#` begins a comment.

    `where` names the file in an error. Raises UsageError.
    """
    rules: list[tuple[str, Network | str]] = []
    for number, line in enumerate(text.splitlines(), 1):
        if word := line.partition("#")[0].strip():
            place = f"{where} line {number}"
            try:
                rules.append((place, parse_rule(word)))
            except UsageError as error:
                raise UsageError(f"{place}: {error.args[0]}", error.hint) from None
    return rules


class AccessList:
    """Refuses denied peers. If `allow` is not None, it also refuses all peers not in it."""

    def __init__(self, allow: Iterable[Network] | None, deny: Iterable[Network]) -> None:
        self._allow = None if allow is None else _Networks(allow)
        self._deny = _Networks(deny)
        self._remembered = lru_cache(MAX_REMEMBERED)(self._decide)

    def refusal(self, host: str, scope: int = 0) -> str:
        """Why a peer at the numeric address `host` is refused; empty if it is not.

        `host` and `scope`, the number of its interface, are as a socket reports them.
        """
        return self._remembered(host, scope)

    def _decide(self, host: str, scope: int) -> str:
        peer = of_address(host, scope)
        if self._deny.contain(peer):
            return DENIED
        return "" if self._allow is None or self._allow.contain(peer) else NOT_ALLOWED


class _Networks:
    """Finds an address among any number of networks, by a lookup for each length of prefix."""

    def __init__(self, networks: Iterable[Network]) -> None:
        self._networks = frozenset(networks)
        self._sizes = sorted({network.host_bits for network in self._networks})

    def contain(self, peer: Network) -> bool:
        for host_bits in self._sizes:
            prefix = peer.prefix >> host_bits
            for scope in (0, peer.scope) if peer.scope else (0,):
                if (peer.version, host_bits, prefix, scope) in self._networks:
                    return True
        return False
