"""Who may come in: --allow, --deny and --max-connections, on every server.

Peers have the loopback addresses 127.0.0.1, 127.0.0.2 and ::1.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.test_floods import counted, longest, stop
from tests.refusal import refusal
from tests.support import (
    HERE,
    WAIT,
    Program,
    errors,
    eventually,
    leaving,
    read_all,
    read_exactly,
    reset,
    run,
)

OTHER = "127.0.0.2"
FLOOD = 2_000

REPLY, ECHO, UPPER = ["tcp-server", "--reply", "hi"], ["echo"], ["echo", "--upper"]
ROOM = ["chat", "serve", "--quit-word", "hi"]
by_tcp = pytest.mark.parametrize(
    "command", [REPLY, ECHO, UPPER, [*ECHO, "--workers", "2"], ROOM], ids=" ".join
)
counting = pytest.mark.parametrize("command", [REPLY, ECHO, UPPER], ids=" ".join)
by_udp = pytest.mark.parametrize(
    "command",
    [
        ["echo", "--udp"],
        ["echo"],
        ["udp-server", "--reply", "hi"],
        ["chat", "serve", "--udp", "--flood", "0"],
    ],
    ids=" ".join,
)


def connect(port: int, source: str = HERE, to: str = HERE) -> socket.socket:
    return socket.create_connection((to, port), WAIT, (source, 0))


def served(sock: socket.socket) -> bool:
    """Whether something is answered; if not, there is an end, and not a byte."""
    with contextlib.suppress(ConnectionResetError, BrokenPipeError):
        sock.sendall(b"hi\n")
        return bool(sock.recv(1000))
    return False


def is_served(port: int, source: str = HERE, to: str = HERE) -> bool:
    with connect(port, source, to) as sock:
        return served(sock)


@by_tcp
def test_who_is_denied_gets_no_byte(command: list[str]) -> None:
    with Program(*command, "-p", "0", "--deny", OTHER, stdout=subprocess.DEVNULL) as program:
        assert not is_served(program.port, OTHER)
        assert is_served(program.port)
        line = program.said("refused")
        assert line.startswith(f"* refused a connection from {OTHER}:")
        assert line.endswith(" (denied by --deny)\n")
        assert errors(program) == []


def test_who_is_denied_is_nobody_to_the_server() -> None:
    with Program("tcp-server", "-v", "-p", "0", "--label", "--deny", OTHER) as program:
        for _ in range(3):
            assert not is_served(program.port, OTHER)
        with connect(program.port) as sock:
            sock.sendall(b"hello\n")
            assert program.process.stdout
            assert program.process.stdout.readline().startswith(b"[1 127.0.0.1:")
        program.said("closed")
        assert OTHER not in program.said("connected")
        assert program.stderr.count("connected\n") == 1


def test_the_one_client_is_the_first_that_may_come_in() -> None:
    with Program("tcp-server", "--once", "-p", "0", "--deny", OTHER) as program:
        assert not is_served(program.port, OTHER)
        with connect(program.port) as sock:
            sock.sendall(b"hello")
            sock.shutdown(socket.SHUT_WR)
            assert read_all(sock) == b""
        assert program.output() == b"hello"
        assert program.status() == 0


@pytest.mark.parametrize(
    ("rules", "v4", "other", "v6"),
    [
        (["--deny", "::ffff:127.0.0.1"], False, True, True),
        (["--deny", "127.0.0.0/8"], False, False, True),
        (["--deny", "::/0"], True, True, False),
        (["--allow", "127.0.0.1"], True, False, False),
        (["--allow", "::ffff:127.0.0.0/104"], True, True, False),
        (["--allow", "::1/128"], False, False, True),
        (["--allow", "127.0.0.0/8", "--allow", "::/0", "--deny", OTHER], True, False, True),
        (["--allow", OTHER, "--deny", "0.0.0.0/0"], False, False, False),
    ],
)
def test_rules_of_both_families(rules: list[str], v4: bool, other: bool, v6: bool) -> None:
    with Program("echo", "-p", "0", "--bind", "::", *rules) as program:
        port = program.port
        assert (is_served(port), is_served(port, OTHER), is_served(port, "::1", "::1")) == (
            v4,
            other,
            v6,
        )


def test_a_name_is_resolved_at_the_start() -> None:
    with Program("echo", "-p", "0", "--allow", "localhost") as program:
        assert is_served(program.port)
        assert not is_served(program.port, OTHER)


def test_rules_from_files(tmp_path: Path) -> None:
    allowed, denied = tmp_path / "allowed", tmp_path / "denied"
    allowed.write_text("# this machine\n127.0.0.0/8  # all of it\n\n")
    denied.write_text(f"{OTHER}\n")
    rules = ["--allow-file", str(allowed), "--deny-file", str(denied)]
    with Program("echo", "-p", "0", *rules) as program:
        assert is_served(program.port)
        assert not is_served(program.port, OTHER)


def test_a_file_without_rules_allows_nobody() -> None:
    with Program("echo", "--tcp", "-p", "0", "--allow-file", "/dev/null") as program:
        program.said("* nobody is allowed to connect: --allow-file has no rules")
        assert not is_served(program.port)


@by_udp
def test_a_datagram_that_is_refused_is_dropped_and_counted(command: list[str]) -> None:
    flood_of_datagrams(command, 300)


def flood_of_datagrams(command: list[str], many: int) -> float:
    """The most seconds for which an allowed peer waits for an answer."""
    with (
        Program(*command, "-v", "-p", "0", "--deny", OTHER) as program,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as refused,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as witness,
    ):
        refused.bind((OTHER, 0))
        refused.setblocking(False)
        witness.settimeout(WAIT)
        for sock in (refused, witness):
            sock.connect((HERE, program.port))

        def ask() -> None:
            witness.send(b"/who")
            assert witness.recv(9999)

        most = longest(many, lambda _: refused.send(b"refused"), ask)
        with pytest.raises(BlockingIOError):
            refused.recv(1)
        stop(program)
        assert f"* dropped a datagram from {OTHER}:" in program.stderr
        assert counted(program, "dropped a datagram") == many
        if command[0] == "udp-server":
            assert program.process.stdout
            assert set(program.process.stdout.read()) <= set(b"/who")
            assert program.stderr.count("new peer") == 1
    return most


@counting
@leaving
def test_one_more_is_closed_until_one_leaves(
    command: list[str], leave: Callable[[socket.socket], None]
) -> None:
    arguments = [*command, "-p", "0", "--max-connections", "2"]
    with Program(*arguments, stdout=subprocess.DEVNULL) as program, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(connect(program.port)) for _ in range(2)]
        for _ in range(3):
            assert [served(client) for client in clients] == [True, True]
            assert not is_served(program.port)
            leave(clients.pop(0))

            def comes_in() -> bool:
                clients[1:] = [stack.enter_context(connect(program.port))]
                return served(clients[1])

            eventually(comes_in)
        assert "(full: --max-connections 2)" in program.said("refused a connection from")


def test_each_worker_counts_by_itself() -> None:
    arguments = ["echo", "--tcp", "-p", "0", "--workers", "2", "--max-connections", "1"]
    with Program(*arguments) as program, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(connect(program.port)) for _ in range(30)]
        assert sum(served(client) for client in clients) == 2


refusing = pytest.mark.parametrize(
    ("command", "options"),
    [
        (REPLY, ["--deny", OTHER]),
        (ECHO, ["--deny", OTHER]),
        (ROOM, ["--deny", OTHER]),
        (REPLY, ["--max-connections", "1"]),
        (UPPER, ["--max-connections", "1"]),
    ],
    ids=" ".join,
)


@refusing
def test_many_that_are_refused(command: list[str], options: list[str]) -> None:
    flood_of_refused(command, options)


def flood_of_refused(command: list[str], options: list[str]) -> float:
    """The most seconds for which a client waits, or one that newly comes, while 2,000 are refused.

    Afterwards as many descriptors are open as before.
    """
    denied = "--deny" in options
    with Program(*command, *options, "-p", "0", stdout=subprocess.DEVNULL) as program:
        with connect(program.port) as witness:

            def ask() -> None:
                witness.sendall(b"/who\n" if command is ROOM else b"hi\n")
                assert witness.recv(9999)
                assert not denied or is_served(program.port)

            ask()
            source = OTHER if denied else HERE
            before = program.descriptors()
            most = longest(FLOOD, lambda _: reset(connect(program.port, source)), ask)
            eventually(lambda: program.descriptors() <= before)
        eventually(lambda: is_served(program.port))
        stop(program)
        assert counted(program, "refused a connection") >= FLOOD
    return most


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (
            ["tcp-server", "--once", "--max-connections", "1"],
            "--once cannot be used with --max-connections",
        ),
        (
            ["echo", "--udp", "--max-connections", "1"],
            "--max-connections cannot be used with --udp",
        ),
        (["udp-server", "--allow", "10.0.0.5/8"], "write 10.0.0.5 or 10.0.0.0/8"),
        (["chat", "serve", "--udp", "--deny", "10.1"], "is not an address, network or name"),
    ],
)
def test_what_cannot_be_meant(command: list[str], words: str) -> None:
    status, out, told = refusal(*command, "-p", "0")
    assert (status, out) == (2, b"")
    assert words in told


@by_udp
def test_a_name_that_is_not_known(command: list[str]) -> None:
    status, out, told = run(*command, "-p", "0", "--allow", "nobody.invalid")
    assert (status, out) == (6, b"")
    assert told.startswith("sockkit: --allow: could not resolve nobody.invalid: ")


@pytest.mark.parametrize("command", [REPLY, ["echo", "--tcp"], ROOM], ids=" ".join)
def test_a_unix_socket_has_no_rules(command: list[str], tmp_path: Path) -> None:
    place = f"unix:{tmp_path}/socket"
    status, _, told = run(*command, "--bind", place, "--deny", "10.0.0.7")
    assert status == 2
    assert told.endswith("have no IP address: remove --allow and --deny\n")


@pytest.mark.parametrize(
    "command", [["tcp-server"], REPLY, ["chat", "serve", "--password", "sesame"]], ids=" ".join
)
def test_what_may_be_public_is_not_warned_of(command: list[str]) -> None:
    with Program(*command, "-p", "0", "--bind", "0.0.0.0") as program:
        program.said("listening on 0.0.0.0:")
        with connect(program.port) as sock:
            sock.sendall(b"hi\n")
            if command != ["tcp-server"]:
                read_exactly(sock, 1)
        assert len(program.stderr.splitlines()) == 1
