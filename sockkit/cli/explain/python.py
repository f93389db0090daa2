"""The Python code for a step, as a learner would write it."""

from __future__ import annotations

from sockkit.core.address import split_port

MAX_SHOWN = 60  # characters of a message; more would hide the explanation
_FAMILIES = {"IPv4": "AF_INET", "IPv6": "AF_INET6", "unix": "AF_UNIX"}
_KINDS = {"stream": "SOCK_STREAM", "datagram": "SOCK_DGRAM"}
_LEVELS = {"TCP": "IPPROTO_TCP", "IP": "IPPROTO_IP", "IPV6": "IPPROTO_IPV6"}  # SO_: SOL_SOCKET


def new_socket(name: str, version: str, kind: str) -> str:
    """`s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)`."""
    return f"{name} = socket.socket(socket.{_FAMILIES[version]}, socket.{_KINDS[kind]})"


def set_option(name: str, option: str, value: str) -> str:
    """`s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)`."""
    level = _LEVELS.get(option.partition("_")[0], "SOL_SOCKET")
    return f"{name}.setsockopt(socket.{level}, socket.{option}, {value})"


def address(shown: str) -> str:
    """`('127.0.0.1', 8080)` for `127.0.0.1:8080`, and `'/tmp/s'` for `unix:/tmp/s`."""
    if shown == "unix":  # a unix socket without an address
        return "''"
    if shown.startswith("unix:"):
        path = shown.removeprefix("unix:")
        return repr(f"\0{path[1:]}" if path.startswith("@") else path)
    host, port = split_port(shown)
    return f"({host!r}, {port})"


def message(data: bytes) -> str:
    """`b'hello\\n'`. For a long message only the beginning and dots."""
    if is_short(data):
        return repr(data)
    fitting = max(size for size in range(MAX_SHOWN) if len(repr(data[:size])) <= MAX_SHOWN)
    return f"{data[:fitting]!r}…"


def is_short(data: bytes) -> bool:
    """Whether `data` is short enough to be shown in full."""
    return len(data) <= MAX_SHOWN and len(repr(data)) <= MAX_SHOWN
