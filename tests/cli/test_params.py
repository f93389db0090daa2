from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click
import pytest

from sockkit.cli import params
from sockkit.cli.params import File, Parsed, listening, server_address
from sockkit.cli.tcp_server import command
from sockkit.core.address import HostPort, UnixPath
from sockkit.errors import UsageError

OPTION = click.Option(["-x", "--example"])


def parse(kind: Parsed, text: object) -> object:
    return kind.convert(text, OPTION, None)


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("SIZE", "64k", 65536),
        ("DURATION", "500ms", 0.5),
        ("PORT", "0", 0),
        ("PORT", "http", 80),
        ("BIND", "::", "::"),
        ("BIND", "[::1]", "::1"),
        ("BIND", "unix:/x", UnixPath("/x")),
        ("SOURCE", "10.0.0.7", HostPort("10.0.0.7", 0)),
        ("SOURCE", "10.0.0.7:80", HostPort("10.0.0.7", 80)),
        ("SOURCE", "10.0.0.7:0", HostPort("10.0.0.7", 0)),
        ("SOURCE", "[::1]:80", HostPort("::1", 80)),
        ("SOURCE", "::1", HostPort("::1", 0)),
        ("SOURCE", "unix:@x", UnixPath("@x")),
        ("MODE", "600", 0o600),
        ("MODE", "0660", 0o660),
        ("ENCODING", "gbk", "gbk"),
        ("SERVER_NAME", "server.example", "server.example"),
        ("SERVER_NAME", "my_host-1", "my_host-1"),
        ("SERVER_NAME", "::1", "::1"),
        ("SERVER_NAME", "bücher.example", "bücher.example"),
        ("FINGERPRINT", "ab" * 32, b"\xab" * 32),
        ("FINGERPRINT", ":".join(["AB"] * 32), b"\xab" * 32),
        ("FINGERPRINT", f"SHA256:{'Ab' * 32}", b"\xab" * 32),
        ("PROTOCOLS", "h2", ("h2",)),
        ("PROTOCOLS", "h2,http/1.1", ("h2", "http/1.1")),
    ],
)
def test_what_is_meant(kind: str, text: str, value: object) -> None:
    assert parse(getattr(params, kind), text) == value


@pytest.mark.parametrize(
    ("kind", "text", "named"),
    [
        ("SIZE", "0", "0"),
        ("DURATION", "soon", "soon"),
        ("PORT", "65536", "65536"),
        ("BIND", "a b", "a b"),
        ("BIND", "unix:", "unix:"),
        ("BIND", "127.0.0.1:80", "127.0.0.1:80"),
        ("SOURCE", "10.0.0.7:x", "x"),
        ("MODE", "888", "888"),
        ("SOURCE", "10.0.0.7:", "10.0.0.7:"),
        ("SOURCE", "5000", "5000"),
        ("GROUP", "239.1.2", "239.1.2"),
        ("ENCODING", "nope", "nope"),
        ("ENCODING", "base64", "base64"),
        ("SERVER_NAME", "a b", "a b"),
        ("SERVER_NAME", "", ""),
        ("SERVER_NAME", "a/b", "a/b"),
        ("FINGERPRINT", "ab" * 31, "ab" * 31),
        ("FINGERPRINT", "ab" * 33, "ab" * 33),
        ("FINGERPRINT", "xy" * 32, "xy" * 32),
        ("FINGERPRINT", "１" * 64, "１" * 64),
        ("PROTOCOLS", "", ""),
        ("PROTOCOLS", "h2,", "h2,"),
        ("PROTOCOLS", "ü", "ü"),
        ("PROTOCOLS", "x" * 256, "x" * 256),
    ],
)
def test_what_cannot_be_meant_names_the_value(kind: str, text: str, named: str) -> None:
    with pytest.raises(click.BadParameter) as raised:
        parse(getattr(params, kind), text)
    message = raised.value.format_message()
    assert "--example" in message
    assert f"'{named}'" in message


def test_a_default_is_a_value_already() -> None:
    assert parse(params.DURATION, 10.0) == 10.0
    assert params.DURATION.name == "duration"


@pytest.mark.parametrize(
    ("bind", "port", "family", "address"),
    [
        (None, 80, None, HostPort("127.0.0.1", 80)),
        (None, 0, 4, HostPort("127.0.0.1", 0)),
        (None, 80, 6, HostPort("::1", 80)),
        ("::", 80, 6, HostPort("::", 80)),
        ("0.0.0.0", 0, None, HostPort("0.0.0.0", 0)),
        (UnixPath("/x"), None, None, UnixPath("/x")),
    ],
)
def test_server_address(
    bind: UnixPath | str | None, port: int | None, family: int | None, address: object
) -> None:
    assert server_address(bind, port, family) == address


@pytest.mark.parametrize(
    ("bind", "port", "words"),
    [
        (None, None, "no port"),
        ("::", None, "no port"),
        (UnixPath("/x"), 80, "unix:/x has no port: remove 80"),
        (UnixPath("/x"), 0, "unix:/x has no port: remove 0"),
    ],
)
def test_no_server_address(bind: UnixPath | str | None, port: int | None, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        server_address(bind, port, None)


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ("80", HostPort("127.0.0.1", 80)),
        ("0.0.0.0 80", HostPort("0.0.0.0", 80)),
        ("[::1]:80", HostPort("::1", 80)),
        ("-p 80 0.0.0.0", HostPort("0.0.0.0", 80)),
        ("--bind :: 80", HostPort("::", 80)),
        ("unix:/x", UnixPath("/x")),
        ("80 --exec cat", HostPort("127.0.0.1", 80)),
    ],
)
def test_words_say_where_to_listen(given: str, address: object) -> None:
    assert listening(server_values(given)) == address


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("-p 1 2", "two ports: -p 1 and 2: leave one out"),
        ("-p 1 a:2", "two ports: -p 1 and a:2: leave one out"),
        ("--bind :: ::1 2", "two addresses: --bind :: and ::1: leave one out"),
        ("--bind unix:/x 80", "unix:/x has no port: remove 80"),
        ("-p 80 unix:/x", "unix:/x has no port: remove 80"),
        ("localhost", "no port to listen on: give -p 8080"),
        (":80", "':80' has no address: write 80, or 0.0.0.0:80 for all"),
        ("1 2 3", "unexpected '3' after an address and a port"),
        ("-p 1 --exec tr a-z", "unexpected 'a-z': quote a command of several words"),
    ],
)
def test_words_that_contradict_an_option(given: str, says: str) -> None:
    with pytest.raises(UsageError, match=re.escape(says)):
        listening(server_values(given))


def server_values(given: str) -> dict[str, Any]:
    values = command.make_context("tcp-server", given.split()).params
    assert values
    return values


def test_a_shell_completes_a_file_as_a_file(tmp_path: Path) -> None:
    context = click.Context(click.Command("x"))
    assert [item.type for item in File().shell_complete(context, OPTION, "a")] == ["file"]
    missing = str(tmp_path / "missing")
    assert File().convert(missing, OPTION, None) == missing
    for kind, path in ((File(), str(tmp_path)), (File(exists=True), missing)):
        with pytest.raises(click.BadParameter):
            kind.convert(path, OPTION, None)
