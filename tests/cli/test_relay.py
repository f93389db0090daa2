from __future__ import annotations

from typing import Any

import pytest

from sockkit.apps.relay import Relay, run
from sockkit.cli.main import status
from sockkit.core.address import HostPort, UnixPath
from sockkit.core.faults import Disturbed, FaultOptions
from sockkit.core.text import TextOptions
from sockkit.net.options import SocketOptions
from sockkit.net.tcp.dial import ConnectOptions
from sockkit.net.tcp.listen import ListenOptions
from sockkit.net.tls.options import ClientTls, ServerTls

SOCKETS = SocketOptions(reuse_address=True, no_delay=True)


def started(*arguments: str, monkeypatch: pytest.MonkeyPatch) -> Relay:
    """The configuration that `sockkit relay ARGUMENTS` folds to."""
    calls: list[tuple[Any, ...]] = []
    monkeypatch.setattr("sockkit.cli.start.start", lambda *call, **_: calls.append(call))
    assert status(["relay", *arguments]) == 0
    ((name, command, config, values),) = calls
    assert (name, command) == ("relay", run)
    assert (values["verbose"], values["quiet"]) == (0, False)
    assert isinstance(config, Relay)
    return config


def test_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    assert started("-p", "8080", "there.example", "80", monkeypatch=monkeypatch) == Relay(
        HostPort("there.example", 80),
        ListenOptions(HostPort("127.0.0.1", 8080)),
        ConnectOptions(),
        SOCKETS,
    )


@pytest.mark.parametrize(
    ("options", "changed"),
    [
        ("--bind 0.0.0.0", {"listen": ListenOptions(HostPort("0.0.0.0", 0))}),
        ("--bind unix:/run/x", {"listen": ListenOptions(UnixPath("/run/x"))}),
        ("--backlog 5", {"listen": ListenOptions(HostPort("127.0.0.1", 0), 5)}),
        (
            "--max-connections 7",
            {"listen": ListenOptions(HostPort("127.0.0.1", 0), max_connections=7)},
        ),
        ("-w 3", {"connect": ConnectOptions(timeout=3)}),
        ("--source 127.0.0.2", {"connect": ConnectOptions(source=HostPort("127.0.0.2", 0))}),
        ("-i 1m", {"idle": 60.0}),
        ("--once", {"once": True}),
        ("--port-file x", {"port_file": "x"}),
        ("-E gbk", {"text": TextOptions("gbk")}),
        ("--buffer-size 5", {"sockets": SOCKETS._replace(buffer_size=5)}),
        ("--tls", {"tls": ServerTls()}),
        ("--to-tls", {"to_tls": ClientTls(prefix="--to-tls")}),
        (
            "--to-tls --to-tls-name b.example",
            {"to_tls": ClientTls(name="b.example", prefix="--to-tls")},
        ),
        ("--to-tls --to-tls-insecure", {"to_tls": ClientTls(insecure=True, prefix="--to-tls")}),
        (
            "--to-tls --to-tls-fingerprint " + "ab" * 32,
            {"to_tls": ClientTls(fingerprint=b"\xab" * 32, prefix="--to-tls")},
        ),
        (
            "--delay 200ms --rate 64k --seed 7 --faults sent",
            {"faults": FaultOptions(delay=0.2, rate=65536, disturbed=Disturbed.SENT, seed=7)},
        ),
        ("--refuse 10%", {"faults": FaultOptions(refuse=0.1)}),
    ],
)
def test_options(options: str, changed: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    default = started("-p", "0", "there.example", "80", monkeypatch=monkeypatch)
    words = ["-p", "0", *options.split(), "there.example", "80"]
    if "unix:" in options:
        words = words[2:]
    assert started(*words, monkeypatch=monkeypatch) == default._replace(**changed)


@pytest.mark.parametrize(
    ("option", "words"),
    [("--exec", ("cat", "-u")), ("--shell", ("/bin/sh", "-c", "cat -u"))],
)
def test_a_program_stands_in_place_of_the_target(
    option: str, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = started("-p", "0", option, "cat -u", monkeypatch=monkeypatch)
    assert (config.address, config.program) == (None, words)


@pytest.mark.parametrize(
    ("address", "parsed"),
    [
        (["there.example:80"], HostPort("there.example", 80)),
        (["::1", "80"], HostPort("::1", 80)),
        (["unix:/run/y"], UnixPath("/run/y")),
    ],
)
def test_the_target_is_written_as_for_a_client(
    address: list[str], parsed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert started("-p", "0", *address, monkeypatch=monkeypatch).address == parsed


@pytest.mark.parametrize(
    ("words", "here"),
    [
        ("8080 h 80", HostPort("127.0.0.1", 8080)),
        ("8080 h:80", HostPort("127.0.0.1", 8080)),
        ("0.0.0.0 8080 h 80", HostPort("0.0.0.0", 8080)),
        ("[::]:8080 h 80", HostPort("::", 8080)),
        ("unix:/run/x h 80", UnixPath("/run/x")),
        ("-p 8080 h 80", HostPort("127.0.0.1", 8080)),
        ("-p 8080 0.0.0.0 h 80", HostPort("0.0.0.0", 8080)),
    ],
)
def test_what_is_before_the_target_is_where_to_listen(
    words: str, here: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = started(*words.split(), monkeypatch=monkeypatch)
    assert (config.listen.address, config.address) == (here, HostPort("h", 80))


def test_a_program_has_no_target(monkeypatch: pytest.MonkeyPatch) -> None:
    config = started("8080", "--exec", "cat", monkeypatch=monkeypatch)
    assert (config.listen.address, config.address) == (HostPort("127.0.0.1", 8080), None)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["-p", "1", "2", "h", "80"], "two ports: -p 1 and 2"),
        (["-p", "0"], "HOST PORT"),
        (["there.example", "80"], "-p 8080"),
        (["-p", "0", "there.example"], "PORT"),
        (["-p", "0", "there.example", "0"], "'0'"),
        (["8080", "there.example"], "'there.example' has no port: give HOST PORT"),
        (["-p", "0", "--to-tls-name", "x.example", "there.example", "80"], "--to-tls"),
        (["-p", "0", "--tls-cert", "x", "there.example", "80"], "--tls"),
        (["-p", "0", "--refuse", "101%", "there.example", "80"], "101%"),
        (["-p", "0", "--faults", "none", "there.example", "80"], "none"),
        (["-p", "0", "--faults", "sent", "there.example", "80"], "--faults needs a fault"),
        (["-p", "0", "--seed", "0", "there.example", "80"], "--seed needs a fault"),
        (["-p", "0", "--errors", "strict", "there.example", "80"], "--errors needs -E"),
        (["-p", "0", "--timestamps", "there.example", "80"], "--timestamps needs --hex"),
        (
            ["-p", "0", "--udp", "--backlog", "1", "there.example", "80"],
            "--backlog cannot be used with --udp",
        ),
        (
            ["-p", "0", "--udp", "--keepalive", "there.example", "80"],
            "--keepalive cannot be used with --udp",
        ),
    ],
)
def test_wrong_command_lines(
    words: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status(["relay", *words]) == 2
    assert says in capsys.readouterr().err
