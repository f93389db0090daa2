"""Proxies as people write them, SCHEME://[USER[:PASSWORD]@]HOST[:PORT], and which hosts are
reached without one.

No error here repeats any part of a URL that could be a password. A user and a password are
percent-decoded; bytes that are not UTF-8 become surrogates, as in the arguments of a process.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import unquote_to_bytes

from sockkit.core.address import MAX_PORT, Address, HostPort, parse_host, show
from sockkit.errors import UsageError
from sockkit.values import Value

SCHEMES = ("socks5h", "socks5", "socks4a", "socks4", "http")
DEFAULT_PORT = 1080  # for HTTP too, as in curl: the same ALL_PROXY means the same proxy
MAX_SECRET_BYTES = 255  # of a user or a password: SOCKS5 has one byte for the length, RFC 1929
_HINT = "write SCHEME://[USER[:PASSWORD]@]HOST[:PORT]"


class Proxy(Value):
    """A proxy, as `--proxy` names it. Its text does not show the user or the password.

    `password` is None if none was given; an empty one is a password, too.
    """

    scheme: str
    address: HostPort
    user: str | None = None
    password: str | None = None

    def __str__(self) -> str:
        return f"{self.scheme}://{show(self.address.host, self.address.port)}"

    @property
    def resolves(self) -> bool:
        """Whether the proxy resolves the target's name. Otherwise we send it an address."""
        return self.scheme in ("socks5h", "socks4a", "http")

    @property
    def protocol(self) -> str:
        """SOCKS5, SOCKS4 or HTTP."""
        return self.scheme.rstrip("ah").upper()

    @property
    def wants_password(self) -> bool:
        """Whether the password of its user is needed and not known yet. SOCKS4 has no passwords."""
        return self.user is not None and self.password is None and self.protocol != "SOCKS4"

    def check(self) -> Proxy:
        """Returns itself. Raises UsageError if the protocol cannot carry user or password."""
        user = self.user or ""
        secrets = (("user", user), ("password", self.password or ""))
        for what, text in secrets if self.protocol == "SOCKS5" else ():
            if len(wire(text)) > MAX_SECRET_BYTES:
                raise UsageError(f"the proxy's {what} is longer than {MAX_SECRET_BYTES} bytes")
        if self.protocol == "SOCKS4" and "\0" in user:
            raise UsageError("a SOCKS4 user cannot contain a NUL byte")
        if self.protocol == "SOCKS4" and self.password:
            raise UsageError("SOCKS4 has no passwords", "remove the password")
        if self.protocol == "HTTP" and ":" in user:
            raise UsageError("an HTTP proxy's user cannot contain a colon")
        return self

    def target(self, address: Address) -> HostPort:
        """The target to request for `address`. Raises UsageError if the proxy cannot reach it."""
        if address.host is None or address.port is None:
            raise UsageError(f"{address} cannot be reached through a proxy", "remove --proxy")
        if "%" in address.host:
            told = f"{address.host} names an interface of this machine, which a proxy does not have"
            raise UsageError(told, "remove --proxy")
        if self.protocol == "SOCKS4" and ":" in address.host:
            told = f"a SOCKS4 proxy cannot reach the IPv6 address {address.host}"
            raise UsageError(told, "use socks5:// or http://")
        return HostPort(address.host, address.port)


def wire(text: str) -> bytes:
    """A user or a password as the bytes that are sent."""
    return text.encode("utf-8", "surrogateescape")


def parse_proxy(url: str) -> Proxy:
    """The proxy that `url` describes. Raises UsageError."""
    scheme, slashes, rest = url.partition("://")
    if not slashes:
        raise UsageError("the proxy URL has no scheme", f"{_HINT}, as in socks5h://127.0.0.1:1080")
    if scheme.lower() not in SCHEMES:
        raise UsageError("unknown proxy scheme", f"use one of {', '.join(SCHEMES)}")
    login, _, place = rest.rpartition("@")
    user, colon, password = login.partition(":")
    if colon and not user:
        raise UsageError("the proxy URL has a password but no user", _HINT)
    proxy = Proxy(
        scheme.lower(),
        _parse_place(place.removesuffix("/")),
        _decode(user) if user else None,
        _decode(password) if colon else None,
    )
    return proxy.check()


def _parse_place(place: str) -> HostPort:
    host, colon, port = place.rpartition(":")
    if not colon or place.endswith("]"):
        host, port = place, str(DEFAULT_PORT)
    if ":" in host and not host.startswith("["):
        raise UsageError("invalid host in the proxy URL", "put an IPv6 address in brackets")
    try:
        host = parse_host(host.replace("%25", "%"))  # before a scope id, RFC 6874
    except UsageError:
        raise UsageError("invalid host in the proxy URL", _HINT) from None
    if not (port.isascii() and port.isdigit() and len(port) < 6 and 0 < int(port) <= MAX_PORT):
        raise UsageError("invalid port in the proxy URL", f"use a port from 1 to {MAX_PORT}")
    return HostPort(host, int(port))


def _decode(text: str) -> str:
    return unquote_to_bytes(wire(text)).decode("utf-8", "surrogateescape")


def environment_proxy(environment: Mapping[str, str], address: Address) -> Proxy | None:
    """The proxy of ALL_PROXY for `address`; None if there is none, or NO_PROXY covers the address.
    The names in small letters, such as all_proxy, come first. Raises UsageError.
    """
    url = environment.get("all_proxy") or environment.get("ALL_PROXY")
    exceptions = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
    if not url or address.host is None or bypasses(exceptions, address.host, address.port):
        return None
    try:
        return parse_proxy(url)
    except UsageError as error:
        raise UsageError(f"ALL_PROXY: {error.args[0]}", error.hint) from None


def bypasses(exceptions: str, host: str, port: int) -> bool:
    """Whether `exceptions`, the text of NO_PROXY, covers this host and port.

    Its words are separated by commas or spaces: `*`, a name, which stands for the names below it
    too, an address or a network. `:PORT` after one limits it to that port. Any other word is
    ignored, as the variable is for many programs.
    """
    words = exceptions.replace(",", " ").split()
    return any(_covers(word.lower(), host.lower(), port) for word in words)


def _covers(word: str, host: str, port: int) -> bool:
    name, colon, limit = word.rpartition(":")
    if colon and limit.isdecimal() and (":" not in name or name.endswith("]")):
        if limit.lstrip("0") != str(port):
            return False
        word = name
    if word == "*":
        return True
    if (address := _address(host)) is not None:
        return _in_network(address, word.strip("[]"))
    name = word.removeprefix("*").strip(".")
    return bool(name) and f".{host.removesuffix('.')}".endswith(f".{name}")


def _address(host: str) -> IPv4Address | IPv6Address | None:
    """`host` as an address, if it is one. An IPv4 address mapped into IPv6 becomes IPv4."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return (isinstance(address, IPv6Address) and address.ipv4_mapped) or address


def _in_network(address: IPv4Address | IPv6Address, word: str) -> bool:
    try:
        return address in ip_network(word, strict=False)
    except ValueError:
        return False
