"""The import budget: what each command loads in a fresh interpreter, and what it must not."""

from __future__ import annotations

import functools
import socket
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import pytest

from sockkit.core.json_lines import JsonLines
from sockkit.core.records import Begun, Opened, Stream
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


def of(package: str, *names: str) -> set[str]:
    return {f"sockkit.{package}.{name}" for name in names}


# What no command loads unless an option or a terminal asks for it.
NEVER = {
    *("argparse", "asyncio", "colorama", "concurrent", "dataclasses", "email", "getpass", "http"),
    *(
        "ipaddress",
        "json",
        "locale",
        "logging",
        "multiprocessing",
        "pathlib",
        "pickle",
        "prompt_toolkit",
    ),
    *("random", "regex", "shutil", "signal", "sqlite3", "ssl", "subprocess", "tempfile"),
    *("sockkit.cli.edited", "sockkit.net.port_owner", "sockkit.net.workers"),
    *("sockkit.core.access", "sockkit.net.access"),
    *of("net.tls", "contexts", "handshake", "options", "throw_away", "words"),
    *of("net.ends", "program_end", "tls_end", "watch"),
    *of("net", "hang_ups", "programs"),
    *of("net.tcp", "program_server", "served"),
    *("sockkit.apps.programs", "sockkit.core.programs"),
    *("python_socks", "sockkit.core.proxy", "sockkit.cli.proxy", "sockkit.cli.secret"),
    *of("net.proxy", "protocols", "tunnel"),
    *of("net.probe", "datagrams", "reply", "wait"),
    *of("core", "escapes", "hexadecimal", "patterns", "replies", "rule_notation"),
    *of("cli", "advice", "help", "progress_lines", "replace"),
    *of("cli.explain", "connections", "en", "narrator", "passing", "python", "role", "story"),
    *of("cli.explain", "telling", "zh"),
    *of("core.habits", "advice", "draft", "foreign", "line", "near", "places", "table"),
    "sockkit.core.habits",
    *("sockkit.core.progress", "sockkit.net.progress"),
    *of("net", "unix", "unix_users"),
    "sockkit.net.udp.unix",
    *of("core", "capture", "dump", "frame_spec", "frames", "json_lines", "packets", "pcapng"),
    "sockkit.core.records",
    *of("net", "screen", "taps", "views"),
    *("sockkit.apps.views", "sockkit.net.ends.tapped_end", "sockkit.net.udp.tap"),
    "sockkit.net.recorder",
    *of("net.relay", "datagram_way", "faults", "program", "udp", "udp_target"),
    *of("core", "datagram_faults", "stream_faults"),
    *("sockkit.apps.relay_udp", "sockkit.net.ends.disturbed_end"),
}
LISTENING = of("net", "port_file") | of("net.tcp", "listen") | of("net.udp", "reply_filter")
CONSOLE = of("core", "console", "server_console") | of("apps", "operator")
MANY = of("net.tcp", "server", "client", "merged_output") | of("net.udp", "server")
ONE = of("net.tcp", "dial", "session") | of("net.udp", "client") | of("core", "answers")
STREAMS = of("net", "kernel", "lanes", "pools", "pump") | of("net.tcp", "session")
DATAGRAMS = of("net.udp", "datagrams", "exchange", "open", "receiver", "sender")
DATAGRAMS |= of("apps", "datagrams")
ECHO = of("net.echo", "tcp", "plain", "udp", "delay") | of("net.udp", "service")
ECHO |= of("core", "responder") | of("apps", "echo")
ROOM = of("core.chat", "actions", "admission", "console", "history", "input", "members")
ROOM |= of("core.chat", "presence", "received", "room", "udp")
ROOM |= of("net.chat", "fanout", "presence", "member", "server", "udp") | of("apps", "chat_serve")
PROBE = of("net.probe", "attempt", "pool", "survey") | of("core", "probing", "targets")
PROBE |= of("net", "lookups") | of("apps", "probe")
REPLAY = of("core", "comparison", "difference", "player") | of("apps", "replay")
REPLAY |= of("net.replay", "playing", "lines", "client", "server", "recording", "udp_server")
SHOW = of("core", "recording", "selection", "since") | of("net.ends", "followed")
SHOW |= of("apps", "show")
RELAY = of("net.relay", "pair", "server") | of("apps", "relay")
CHAT = ROOM | of("core.chat", "commands", "greeting", "protocol", "names", "view")
CHAT |= of("apps", "chat_history", "chat_join", "chat_typed", "chat_visit")


class Budget(NamedTuple):
    """What a command may load: `most` modules beside the bare imports, and none of `foreign`."""

    most: int
    foreign: set[str]


BUDGETS = {
    "tcp-client": Budget(66, CONSOLE | LISTENING | MANY | DATAGRAMS | ECHO | CHAT),
    "probe": Budget(59, CONSOLE | LISTENING | MANY | STREAMS | DATAGRAMS | ECHO | CHAT),
    "udp-client": Budget(62, CONSOLE | LISTENING | MANY | STREAMS | ECHO | CHAT),
    "chat join": Budget(77, CONSOLE | LISTENING | MANY | DATAGRAMS | ECHO | ROOM),
    "tcp-server": Budget(67, CONSOLE | ONE | STREAMS | DATAGRAMS | ECHO | CHAT),
    "tcp-server --once": Budget(
        69, CONSOLE | of("net.tcp", "dial") | MANY | DATAGRAMS | ECHO | CHAT
    ),
    "udp-server": Budget(66, CONSOLE | ONE | STREAMS | ECHO | CHAT),
    "echo": Budget(80, CONSOLE | ONE | MANY | CHAT),
    "relay": Budget(
        71,
        CONSOLE | MANY | of("net.tcp", "session") | of("core", "answers") | DATAGRAMS | ECHO | CHAT,
    ),
    "chat serve": Budget(92, ONE | MANY | STREAMS | DATAGRAMS | ECHO),
}


def test_what_is_left_out_is_there_to_be_left_out() -> None:
    """A module that was renamed would never be found among those that are loaded."""
    named = {name for budget in BUDGETS.values() for name in budget.foreign} | PROBE | SHOW | RELAY
    named |= {name for name in NEVER if name.startswith("sockkit.")}
    assert {name for name in named if find_spec(name) is None} == set()


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
    client = command.endswith(("client", "join", "probe"))
    # Before it knows a short option, click imports what finds those that were meant.
    address = [HERE, nobody] if client else ["--port", "0"]
    more_words = {"udp-client": ["--linger", "0"], "relay": [HERE, nobody]}.get(command, [])
    with Program(*command.split(), *address, *more_words, command=patched(TELL)) as program:
        if not client:
            program.said("listening on ")
            program.process.terminate()
        more = loaded(program) - bare()
    assert f"sockkit.apps.{command.split(' --')[0].translate({32: '_', 45: '_'})}" in more
    foreign = BUDGETS[command].foreign | SHOW | (PROBE if command != "probe" else set())
    foreign |= RELAY if command != "relay" else set()
    assert more & (NEVER | foreign) == set()
    assert len(more) <= BUDGETS[command].most, sorted(more)


@pytest.mark.parametrize(("language", "other"), [("en", "zh"), ("zh", "en")])
def test_explaining_loads_one_language(language: str, other: str, nobody: str) -> None:
    words = ["--explain", "--lang", language, HERE, nobody]
    with Program("tcp-client", *words, command=patched(TELL)) as program:
        more = loaded(program) - bare()
    explain = of("cli.explain", "connections", "narrator", "passing", "python", "role", "story")
    explain |= of("cli.explain", "telling", language)
    seen = of("net", "screen", "taps", "views") | of("core", "event_throttle", "token_bucket")
    own = explain | seen | of("net", "hang_ups") | of("net.ends", "watch")
    own |= {"sockkit.cli.explain", "sockkit.core.records"}
    assert explain <= more
    assert more & (NEVER | BUDGETS["tcp-client"].foreign) - own == set()
    assert len(more) <= BUDGETS["tcp-client"].most + len(own)
    assert f"sockkit.cli.explain.{other}" not in more


@pytest.mark.parametrize(
    ("view", "needed"),
    [
        ("--text", of("core", "text_view", "headings")),
        ("--hex", of("core", "dump", "headings")),
        ("--json", set()),
        ("--pcap", of("core", "capture", "packets", "pcapng")),
    ],
)
def test_show_loads_the_view_that_it_shows(view: str, needed: set[str], tmp_path: Path) -> None:
    path = tmp_path / "it.rec"
    opened = Opened(1, Stream(0, "tcp", "127.0.0.1:1", "127.0.0.1:2", dialled=True))
    path.write_bytes(b"".join(map(JsonLines().show, (Begun(1, "x"), opened))))
    out = [str(tmp_path / "out")] if view == "--pcap" else []
    with Program("show", view, *out, str(path), command=patched(TELL)) as program:
        program.output()
        more = loaded(program) - bare()
    views = of("core", "capture", "dump", "headings", "packets", "pcapng", "text_view")
    assert more & views == needed
    assert ("ipaddress" in more) == (view == "--pcap")
    own = SHOW | {"json"} | of("core", "json_lines", "records")
    assert own <= more
    others = CONSOLE | LISTENING | MANY | ONE | DATAGRAMS | ECHO | CHAT | PROBE
    assert more & (others | NEVER) - own - needed - {"ipaddress"} == set()
    assert len(more) <= 71, sorted(more)


@pytest.mark.parametrize("serves", [False, True])
def test_replay_loads_the_side_that_it_plays(serves: bool, nobody: str, tmp_path: Path) -> None:
    path = tmp_path / "it.rec"
    opened = Opened(1, Stream(0, "tcp", "127.0.0.1:1", "127.0.0.1:2", dialled=True))
    path.write_bytes(b"".join(map(JsonLines().show, (Begun(1, "x"), opened))))
    address = ["--serve", "--port", "0"] if serves else [HERE, nobody]
    with Program("replay", str(path), *address, command=patched(TELL)) as program:
        if serves:
            program.said("listening on ")
            program.process.terminate()
        more = loaded(program) - bare()
    others = CONSOLE | MANY | ECHO | CHAT | PROBE | DATAGRAMS
    others |= of("net.udp", "client") if serves else LISTENING | of("net.replay", "server")
    # click's type of a file asks for a translation.
    own = {"json", "locale"} | of("core", "json_lines", "records")
    assert of("apps", "replay") | of("net.replay", "playing", "lines", "recording") <= more
    assert more & (others | NEVER) - own == set()
    assert len(more) <= 82, sorted(more)


@pytest.mark.parametrize(
    ("arguments", "env"),
    [(["--help"], {}), (["--version"], {}), ([], COMPLETING)],
    ids=["help", "version", "completion"],
)
def test_what_is_shown_of_commands_loads_none(arguments: list[str], env: dict[str, str]) -> None:
    with Program(*arguments, command=patched(TELL), env=env) as program:
        assert (b"sockkit" if arguments else b"tcp-server") in program.output()
        modules = loaded(program)
    assert "sockkit.cli.commands" in modules
    assert not any(name.startswith(("sockkit.net", "sockkit.apps")) for name in modules)
    assert modules & of("cli", "tcp_client", "tcp_server", "options") == set()
