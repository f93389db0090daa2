"""The import budget: what a command loads in a fresh interpreter, and what it must not."""

from __future__ import annotations

import sys

import pytest

from tests.support import HERE, Program, patched, peer

# Modules a one-shot client may load beside those of `import click, socket, selectors` and those
# that are part of the interpreter.
BUDGET = 45

# Tells at the end; and the end is where atexit is heard of, which os._exit passes by.
TELL = """
import atexit, os, sys
def leave(code):
    raise SystemExit(code)
os._exit = leave
atexit.register(lambda: print("loaded", *sys.modules, file=sys.stderr))
"""
COMPLETING = {"_SOCKKIT_COMPLETE": "bash_complete", "COMP_WORDS": "sockkit tcp-", "COMP_CWORD": "1"}
NOT_NEEDED = {
    "argparse",
    "asyncio",
    "colorama",
    "concurrent",
    "dataclasses",
    "json",
    "logging",
    "pathlib",
    "prompt_toolkit",
    "ssl",
    "subprocess",
    "tempfile",
    "sockkit.net.hub",
    "sockkit.net.listen",
    "sockkit.net.member",
}


def loaded(*arguments: str, out: bytes, command: tuple[str, ...], **env: str) -> set[str]:
    """The modules `command` has loaded when it has printed `out` and ends."""
    with Program(*arguments, command=command, env=env) as program:
        assert out in program.output()
        assert program.status() == 0, program.stderr
        return set(program.said("loaded ").split()[1:])


@pytest.mark.parametrize(
    ("arguments", "env"),
    [(["--help"], {}), (["--version"], {}), ([], COMPLETING)],
    ids=["help", "version", "completion"],
)
def test_what_is_shown_of_commands_loads_none(arguments: list[str], env: dict[str, str]) -> None:
    out = b"sockkit" if arguments else b"tcp-server"
    modules = loaded(*arguments, out=out, command=patched(TELL), **env)
    assert "sockkit.cli.group" in modules
    rooms = {name for name in modules if name.startswith(("sockkit.net", "sockkit.apps"))}
    assert rooms == set()
    assert not modules & {"sockkit.cli.tcp_client", "sockkit.cli.tcp_server", "sockkit.cli.options"}


@pytest.fixture(scope="module")
def of_client() -> set[str]:
    with peer(lambda sock: sock.sendall(b"hello")) as port:
        return loaded("tcp-client", HERE, str(port), out=b"hello", command=patched(TELL))


def test_a_client_loads_what_it_needs(of_client: set[str]) -> None:
    assert "sockkit.net.session" in of_client
    assert of_client & NOT_NEEDED == set()


def test_a_clients_budget(of_client: set[str]) -> None:
    plain = (sys.executable, "-P", "-c", f"{TELL}\nimport click, socket, selectors\nprint('done')")
    there = {*loaded(out=b"done", command=plain), *sys.builtin_module_names}
    more = sorted(of_client - there)
    assert "sockkit.net.session" in more
    assert len(more) <= BUDGET, more
