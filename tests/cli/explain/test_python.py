from __future__ import annotations

import socket

import pytest

from sockkit.cli.explain import python


@pytest.mark.parametrize("version", ["IPv4", "IPv6", "unix"])
@pytest.mark.parametrize("kind", ["stream", "datagram"])
def test_a_new_socket_is_one_that_python_makes(version: str, kind: str) -> None:
    names: dict[str, object] = {"socket": socket}
    exec(python.new_socket("s", version, kind), names)
    made = names["s"]
    assert isinstance(made, socket.socket)
    with made:
        assert (
            made.family.name == {"IPv4": "AF_INET", "IPv6": "AF_INET6", "unix": "AF_UNIX"}[version]
        )
        assert made.type.name == {"stream": "SOCK_STREAM", "datagram": "SOCK_DGRAM"}[kind]


@pytest.mark.parametrize(
    ("option", "value"),
    [("SO_REUSEADDR", 1), ("TCP_NODELAY", 1), ("IP_TTL", 9), ("IPV6_UNICAST_HOPS", 9)],
)
def test_an_option_is_set_as_python_sets_it(option: str, value: int) -> None:
    family = socket.AF_INET6 if option.startswith("IPV6") else socket.AF_INET
    with socket.socket(family) as sock:
        exec(python.set_option("s", option, str(value)), {"s": sock, "socket": socket})
        level = {"SO": socket.SOL_SOCKET, "TC": socket.IPPROTO_TCP}.get(
            option[:2], socket.IPPROTO_IPV6 if option.startswith("IPV6") else socket.IPPROTO_IP
        )
        assert sock.getsockopt(level, getattr(socket, option)) == value


@pytest.mark.parametrize(
    ("shown", "python_address"),
    [
        ("127.0.0.1:8080", ("127.0.0.1", 8080)),
        ("[::1]:80", ("::1", 80)),
        ("[fe80::1%eth0]:80", ("fe80::1%eth0", 80)),
        ("unix:/tmp/a b", "/tmp/a b"),
        ("unix:@name", "\0name"),
        ("unix", ""),
    ],
)
def test_an_address_is_what_python_takes(shown: str, python_address: object) -> None:
    assert eval(python.address(shown)) == python_address


def test_a_message_is_bytes_and_a_long_one_is_cut() -> None:
    start = b"\r\n\x1b[2J\xc4\xe3"
    longest = start + b"x" * (python.MAX_SHOWN - len(repr(start)))
    assert eval(python.message(longest)) == longest
    assert python.message(longest).isascii()
    assert python.is_short(longest)
    assert python.message(longest + b"!") == f"{longest!r}…"
    assert not python.is_short(longest + b"!")


@pytest.mark.parametrize("data", [b"\0" * 50, b"\0" * 1_000_000, b"x" * 59 + b"\0"])
def test_a_cut_message_is_no_longer_than_another(data: bytes) -> None:
    assert not python.is_short(data)
    shown = python.message(data)
    assert python.MAX_SHOWN - 3 <= len(shown) <= python.MAX_SHOWN + 1
    assert data.startswith(eval(shown.removesuffix("…")))
