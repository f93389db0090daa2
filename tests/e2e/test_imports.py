"""The import budget: what each command loads in a fresh interpreter, and what it must not."""

from __future__ import annotations

import functools
import socket
import sys
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from tests.support import HERE, Program, patched

# Tells what is loaded when main ends the process, or a signal does.
TELL = """
import os, sys
import sockkit.cli.stopping
def leave(code, end=os._exit):
    print("loaded", *sys.modules, file=sys.stderr, flush=True)
    end(code)
os._exit = leave
sockkit.cli.stopping.die = lambda number: leave(128 + number)
"""
BARE = (sys.executable, "-P", "-c", "import click, socket, selectors, sys; print(*sys.modules)")
COMPLETING = {"_SOCKKIT_COMPLETE": "bash_complete", "COMP_WORDS": "sockkit tcp-", "COMP_CWORD": "1"}


def of(room: str, *names: str) -> set[str]:
    return {f"sockkit.{room}.{name}" for name in names}


# What no command loads unless an option or a terminal asks for it.
NEVER = {
    *("argparse", "asyncio", "colorama", "concurrent", "dataclasses", "email", "getpass", "http"),
    *("json", "locale", "logging", "multiprocessing", "pathlib", "pickle", "prompt_toolkit"),
    *("random", "regex", "shutil", "signal", "sqlite3", "ssl", "subprocess", "tempfile"),
    *("sockkit.cli.edited", "sockkit.net.port_owner", "sockkit.net.workers"),
}
SERVING = of("net", "delivery", "files", "listen", "port_file", "sources") | of("apps", "operator")
MANY = of("net", "hub", "member", "udp_hub")
ONE = of("net", "connect", "session", "udp_session")
STREAMS = of("net", "kernel", "lanes", "pump", "session")
DATAGRAMS = of("net", "datagrams", "posting", "udp") | of("apps", "datagrams")
ECHO = of("net", "echo", "echo_udp", "turns") | of("core", "responder") | of("apps", "echo")
ROOM = (
    of("core.chat", "room", "crowd", "history", "udp")
    | of("core", "chat_operator")
    | of("net.chat", "server", "member", "crowd", "fanout", "udp")
)
CHAT = ROOM | of("core.chat", "lines", "names", "view") | of("apps", "chat_history", "chat_serve")


class Budget(NamedTuple):
    """What a command may load: `most` modules beside the bare imports, and none of `foreign`."""

    most: int
    foreign: set[str]


BUDGETS = {
    "tcp-client": Budget(48, SERVING | MANY | DATAGRAMS | ECHO | CHAT),
    "udp-client": Budget(50, SERVING | MANY | STREAMS | ECHO | CHAT),
    "chat join": Budget(54, SERVING | MANY | DATAGRAMS | ECHO | ROOM | of("apps", "chat_serve")),
    "tcp-server": Budget(52, ONE | STREAMS | DATAGRAMS | ECHO | CHAT),
    "tcp-server --once": Budget(51, of("net", "connect") | MANY | DATAGRAMS | ECHO | CHAT),
    "udp-server": Budget(54, ONE | STREAMS | ECHO | CHAT),
    "echo": Budget(58, ONE | MANY | CHAT),
    "chat serve": Budget(63, ONE | MANY | STREAMS | DATAGRAMS | ECHO),
}


@functools.cache
def bare() -> set[str]:
    with Program(command=BARE) as program:
        return {*program.output().decode().split(), *sys.builtin_module_names}


@pytest.fixture(scope="module")
def nobody() -> Iterator[str]:
    """A port at which nobody answers."""
    with socket.socket() as stream, socket.socket(type=socket.SOCK_DGRAM) as datagrams:
        stream.bind((HERE, 0))
        datagrams.bind((HERE, stream.getsockname()[1]))
        yield str(stream.getsockname()[1])


def loaded(program: Program) -> set[str]:
    return set(program.said("loaded ").split()[1:])


@pytest.mark.parametrize("command", BUDGETS)
def test_a_command_loads_what_it_needs(command: str, nobody: str) -> None:
    client = command.endswith(("client", "join"))
    # Before it knows a short option, click imports what finds those that were meant.
    address = [HERE, nobody] if client else ["--port", "0"]
    linger = ["--linger", "0"] if command == "udp-client" else []
    with Program(*command.split(), *address, *linger, command=patched(TELL)) as program:
        if not client:
            program.said("listening on ")
            program.process.terminate()
        more = loaded(program) - bare()
    assert f"sockkit.apps.{command.split(' --')[0].translate({32: '_', 45: '_'})}" in more
    assert more & (NEVER | BUDGETS[command].foreign) == set()
    assert len(more) <= BUDGETS[command].most, sorted(more)


@pytest.mark.parametrize(
    ("arguments", "env"),
    [(["--help"], {}), (["--version"], {}), ([], COMPLETING)],
    ids=["help", "version", "completion"],
)
def test_what_is_shown_of_commands_loads_none(arguments: list[str], env: dict[str, str]) -> None:
    with Program(*arguments, command=patched(TELL), env=env) as program:
        assert (b"sockkit" if arguments else b"tcp-server") in program.output()
        modules = loaded(program)
    assert "sockkit.cli.group" in modules
    assert not any(name.startswith(("sockkit.net", "sockkit.apps")) for name in modules)
    assert modules & of("cli", "tcp_client", "tcp_server", "options") == set()
