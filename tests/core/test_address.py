from __future__ import annotations

import contextlib
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sockkit.core.address import (
    Address,
    HostPort,
    UnixPath,
    parse_address,
    parse_host,
    parse_port,
    parse_unix,
    show,
    split_port,
)
from sockkit.errors import UsageError

SERVICES = {"http": 80, "ssh": 22, "no-good": 70000}

# What a command line can hold: any text, and surrogates for bytes that are none.
BYTES = st.characters(min_codepoint=0xDC80, max_codepoint=0xDCFF)
WORDS = st.text(st.characters(exclude_categories=["Cs"]) | BYTES) | st.text("a:[]@%/09")


@pytest.mark.parametrize(
    ("text", "port"), [("1", 1), ("080", 80), ("65535", 65535), ("http", 80), ("ssh", 22)]
)
def test_ports(text: str, port: int) -> None:
    assert parse_port(text, SERVICES.get) == port


@pytest.mark.parametrize(
    "text",
    [
        *("0", "65536", "99999", "99999999999", "9" * 5000, "-1", "-0", "+80", "1.5", "8_0"),
        *("", " 80", "80 ", "80\n", "80x", "0x50", "８０", "²", "abc", "no-good", "hτtp"),
    ],
)
def test_what_is_no_port_is_named(text: str) -> None:
    with pytest.raises(UsageError, match=f"^{re.escape(repr(text))} is not a port: give 1 to"):
        parse_port(text, SERVICES.get)


def test_a_server_may_leave_the_port_to_the_system() -> None:
    assert parse_port("0", SERVICES.get, lowest=0) == 0
    with pytest.raises(UsageError, match="give 0 to 65535"):
        parse_port("-0", SERVICES.get, lowest=0)


@pytest.mark.parametrize(
    ("words", "address"),
    [
        (["localhost", "80"], HostPort("localhost", 80)),
        (["localhost:80"], HostPort("localhost", 80)),
        (["10.0.0.7:http"], HostPort("10.0.0.7", 80)),
        (["::1", "80"], HostPort("::1", 80)),
        (["[::1]", "80"], HostPort("::1", 80)),
        (["[::1]:80"], HostPort("::1", 80)),
        (["[fe80::1%eth0]:80"], HostPort("fe80::1%eth0", 80)),
        (["unix:/run/a b:80"], UnixPath("/run/a b:80")),
        (["unix:@name"], UnixPath("@name")),
        (["unix:" + "é" * 53], UnixPath("é" * 53)),
    ],
)
def test_addresses(words: list[str], address: Address) -> None:
    assert parse_address(words, SERVICES.get) == address


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ([], "no address"),
        ([""], "''"),
        (["localhost"], "'localhost' has no port"),
        (["::1"], "'::1' has no port"),
        (["2001:db8::1:80"], "'2001:db8::1:80' has no port"),
        (["[::1]"], "'[::1]' has no port"),
        (["localhost:"], "'' is not a port"),
        ([":80"], "':80' has no host"),
        (["[]:80"], "'[]' is not a host"),
        (["[::1:80"], "'[::1:80' is not a host"),
        (["::1]", "80"], "'::1]' is not a host"),
        (["a/b", "80"], "'a/b' is not a host"),
        (["a b", "80"], "'a b' is not a host"),
        (
            ["http://a:80"],
            "'http://a:80' is not a host: leave out http:// and what follows the port",
        ),
        (["https://a"], "'https://a' is not a host: leave out https://"),
        (["/tmp/a", "80"], "'/tmp/a' is not a host: write unix:/tmp/a"),
        (["localhost:80", "81"], "'localhost:80' has a port, '81' is another"),
        (["localhost", "65536"], "'65536' is not a port"),
        (["localhost", "80", "81"], "'81' after a host and a port"),
        (["unix:/a", "80"], "'80' after unix:/a"),
        (["unix:"], "'unix:' is not a unix address"),
        (["unix:@"], "'unix:@' is not a unix address"),
        (["unix:" + "a" * 108], "a' is not a unix address"),
        (["unix:" + "é" * 54], "é' is not a unix address"),
        (["unix:/a\0b"], "is not a unix address"),
    ],
)
def test_what_is_no_address_is_named(words: list[str], named: str) -> None:
    with pytest.raises(UsageError, match=re.escape(named)):
        parse_address(words, SERVICES.get)


@given(st.lists(WORDS | WORDS.map("unix:".__add__) | st.just("80"), max_size=3))
@example(["unix:/\udcff"])
def test_only_usage_errors_and_ports_in_range(words: list[str]) -> None:
    with contextlib.suppress(UsageError):
        address = parse_address(words, SERVICES.get)
        assert isinstance(address, UnixPath) or (address.host and 1 <= address.port <= 65535)


@given(st.ip_addresses().map(str), st.integers(1, 65535))
def test_what_is_shown_can_be_typed(host: str, port: int) -> None:
    assert parse_address([show(host, port)], SERVICES.get) == HostPort(host, port)


def test_only_unix_words_are_unix_paths() -> None:
    assert parse_unix("unix:/a") == UnixPath("/a")
    assert parse_unix("/a") is None
    assert parse_unix("UNIX:/a") is None


@pytest.mark.parametrize(
    ("word", "parts"),
    [
        ("localhost", ("localhost", None)),
        ("::", ("::", None)),
        ("[::]", ("::", None)),
        ("[::]:0", ("::", "0")),
        ("a:b", ("a", "b")),
    ],
)
def test_split_port(word: str, parts: tuple[str, str | None]) -> None:
    assert split_port(word) == parts


def test_addresses_read_as_people_say_them() -> None:
    assert str(HostPort("::1", 80)) == "::1 port 80"
    assert str(UnixPath("@a")) == "unix:@a"
    assert parse_host("[::1]") == "::1"
