"""Parses addresses as people write them, without using the network.

The forms are `HOST PORT`, `HOST:PORT`, `[v6]:PORT`, `unix:/path` and `unix:@abstract`. A bare IPv6
address is never split at a colon: `::1` alone has no port.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sockkit.errors import UsageError
from sockkit.values import Value

MAX_PORT = 65535
_IPV4 = set("0123456789.")
_HINT = "give HOST PORT, as in 127.0.0.1 8080, or unix:/PATH"

# The last ones are the full-width comma, colon and brackets, and the dashes that get into a command
# line by an input method, or from a page, in place of an option's hyphens.
_NO_HOST = "*@[]/ \t\n\0,()\uff0c\uff1a\uff08\uff09\u2013\u2014\u2212\uff0d"
_IPV6 = set("0123456789abcdefABCDEF:.")

ServiceLookup = Callable[[str], "int | None"]


class HostPort(Value):
    """An internet address that is not resolved; `host` has no brackets."""

    host: str
    port: int

    @property
    def location(self) -> str:
        return self.host

    @property
    def word(self) -> str:
        """This address as one word of a command line."""
        return show(self.host, self.port)

    def __str__(self) -> str:
        return f"{self.host} port {self.port}"

    def with_port(self, port: int) -> HostPort:
        return HostPort(self.host, port)


class UnixPath(Value):
    """A unix-domain address; a leading `@` is Linux's abstract namespace, unix(7)."""

    path: str

    @property
    def abstract(self) -> bool:
        return self.path.startswith("@")

    @property
    def location(self) -> str:
        return self.path

    @property
    def word(self) -> str:
        return str(self)

    @property
    def host(self) -> None:
        return None

    @property
    def port(self) -> None:
        return None

    def with_port(self, port: int) -> UnixPath:
        """This address itself, as a path has no port."""
        return self

    def __str__(self) -> str:
        return f"unix:{self.path}"


# Each kind has `host` and `port`, which may be None, `location` (its host or its path), `word` and
# `with_port`. Its row in net/openers.py resolves, binds and dials it.
Address = HostPort | UnixPath


def parse_port(text: str, service: ServiceLookup, *, lowest: int = 1) -> int:
    """The port that `text` names: ASCII digits, or the name of a service that `service` finds.

    `lowest` is 0 if the system may choose the port. Raises UsageError for anything else.
    """
    if text.isascii() and text.isdigit():
        port: int | None = int(text) if len(text) < 10 else None
    else:
        port = service(text) if text.isascii() and text[:1].isalpha() else None
    if port is None or not lowest <= port <= MAX_PORT:
        raise UsageError(
            f"{text!r} is not a port",
            f"give {lowest} to {MAX_PORT} or a service name, such as http",
        )
    return port


def parse_host(text: str) -> str:
    """A host without its brackets. Raises UsageError if `text` cannot be a host."""
    host = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    if not host or any(character in host for character in _NO_HOST) or _looks_split(host):
        raise UsageError(f"{text!r} is not a host", _host_hint(text))
    if _is_short(host):
        hint = "an IPv4 address has four numbers, as in 192.168.1.30" if "." in host else _HINT
        raise UsageError(f"{text!r} is not a host", hint)
    return host


def _is_short(host: str) -> bool:
    """Whether `host` is numbers and dots, and not four numbers. inet_aton(3) takes `5000` for
    0.0.19.136, and `192.168.1` for 192.168.0.1.
    """
    return not set(host) - _IPV4 and host.count(".") != 3


def _host_hint(text: str) -> str:
    """What to write in place of a URL, of a path, or of all addresses."""
    if not text:
        return "it is empty: is a variable of the shell unset?"
    if text.startswith("@"):
        return f"write unix:{text}"
    if "@" in text:
        return f"leave out {text.partition('@')[0]}@"
    if text == "*":
        return "write 0.0.0.0 to listen on all addresses"
    if "://" in text:
        return f"leave out {text.partition('://')[0]}:// and what follows the port"
    return f"write unix:{text}" if text.startswith(("/", "./", "../")) else _HINT


def _port_hint(word: str) -> str:
    """What to write in place of an address that has no port, or an IPv6 address and a port."""
    host, _, port = word.rpartition(":")
    whole = host.endswith(":") or "::" in host or host.count(":") == 7
    if whole and not host.endswith(":") and port.isdigit():
        return f"write [{host}]:{port} for port {port}"
    return _HINT


def _looks_split(host: str) -> bool:
    """Whether `host` has a colon and is not an IPv6 address."""
    address = host.partition("%")[0]
    return ":" in host and (address.count(":") < 2 or bool(set(address) - _IPV6))


def parse_unix(text: str) -> UnixPath | None:
    """The address in `unix:PATH`; None if `text` does not begin with `unix:`. Raises UsageError."""
    if not text.startswith("unix:"):
        return None
    path = text.removeprefix("unix:")
    # sun_path has 108 bytes with its closing NUL, unix(7).
    if not path.strip("@") or "\0" in path or len(path.encode(errors="surrogateescape")) > 107:
        raise UsageError(
            f"{text!r} is not a unix address",
            "give unix:/PATH or unix:@NAME, with at most 107 bytes",
        )
    return UnixPath(path)


def parse_address(words: Sequence[str], service: ServiceLookup, *, lowest: int = 1) -> Address:
    """The address in one or two words of a command line; `lowest` as in parse_port.

    Raises UsageError.
    """
    if not words:
        raise UsageError("no address to connect to", _HINT)
    if unix := parse_unix(words[0]):
        words = words[1:]
        if words:
            raise UsageError(f"unexpected {words[0]!r} after {unix}", "leave it out")
        return unix
    if len(words) > 2:
        if words[-1].isdigit() and not words[1].isdigit():  # `HOST port PORT`, or one word too many
            extra = words[1] if words[1].lower() == "port" else words[0]
            raise UsageError(f"unexpected {extra!r} besides a host and a port", "leave it out")
        raise UsageError(f"unexpected {words[2]!r} after a host and a port", "leave it out")
    if len(words) == 2:
        if _looks_split(words[0]) and split_port(words[0])[1]:
            raise UsageError(f"two ports: {words[0]!r} and {words[1]!r}", "leave one out")
        return HostPort(parse_host(words[0]), parse_port(words[1], service, lowest=lowest))
    host, port = split_port(words[0])
    if port is None:
        raise UsageError(f"{words[0]!r} has no port", _port_hint(words[0]))
    return HostPort(host, parse_port(port, service))


def parse_listening(
    words: Sequence[str], service: ServiceLookup
) -> tuple[UnixPath | str | None, int | None]:
    """The address and the port in `[ADDR] PORT`, `ADDR:PORT`, `ADDR` or `unix:PATH`.

    Each is None if it is not there. Raises UsageError.
    """
    if len(words) == 2:
        address = parse_address(words, service, lowest=0)
        return address.location, address.port
    if len(words) > 2:
        raise UsageError(f"unexpected {words[2]!r} after an address and a port", "leave it out")
    if not words:
        return None, None
    word = words[0]
    if unix := parse_unix(word):
        return unix, None
    if word.isascii() and word.isdigit():
        return None, parse_port(word, service, lowest=0)
    if word.startswith(":") and word[1:].isalnum():
        raise UsageError(
            f"{word!r} has no address", f"write {word[1:]}, or 0.0.0.0{word} for all addresses"
        )
    host, port = split_port(word)
    if port is not None:
        return host, parse_port(port, service, lowest=0)
    named = service(word) if word.isascii() and word[:1].isalpha() else None
    return (host, None) if named is None else (None, named)


def split_relay(words: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    """The words of a relay's listening address, `[[ADDR] PORT]`, and of its target, `HOST PORT` or
    one word.
    """
    target = 1 if len(words) > 1 and _is_whole(words[-1]) else 2
    place = max(0, len(words) - target)
    return words[:place], words[place:]


def _is_whole(word: str) -> bool:
    """Whether `word` is an address with its port, or a path."""
    try:
        return bool(parse_unix(word) or split_port(word)[1])
    except UsageError:
        return False


def split_port(word: str) -> tuple[str, str | None]:
    """The host and the port of `HOST:PORT` or `[v6]:PORT`; the port is None if there is none.

    Raises UsageError if the host is invalid.
    """
    if "://" in word:
        return parse_host(word), None  # its error says what to write
    host, colon, port = word.rpartition(":")
    if colon and not host:
        raise UsageError(f"{word!r} has no host", _HINT)
    bracketed = host.startswith("[") and host.endswith("]")
    if not colon or (":" in host and not bracketed):
        return parse_host(word), None
    return parse_host(host), port


def show(host: str, port: int) -> str:
    """`10.0.0.7:51234` or `[::1]:51234`, for labels and events."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
