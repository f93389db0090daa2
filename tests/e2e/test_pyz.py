"""sockkit.pyz on each Python that is there, with nothing installed beside it."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import sys
from pathlib import Path

import pytest

from scripts.each_python import pythons
from scripts.make_pyz import write
from tests.screen import ENTER, client
from tests.support import HERE, Program, connect, errors, noise, run

pytestmark = pytest.mark.timeout(180)  # the first of them makes the archive

BARE = ("-I", "-S")  # no packages beside it, and nothing that variables name
CLEAN = {"LC_ALL": "C.UTF-8", "PYTHONPATH": "", "NO_COLOR": "1"}
COMPLETING = {"_SOCKKIT_COMPLETE": "bash_complete", "COMP_WORDS": "sockkit tcp-", "COMP_CWORD": "1"}
MEGABYTES = 4 * 1024 * 1024


@pytest.fixture(scope="session")
def interpreters() -> list[Path]:
    """This Python, and one of each other version."""
    found = {**pythons(), sys.version_info[:2]: Path(sys.executable)}
    return list(found.values())


@pytest.fixture(scope="session")
def pyz(tmp_path_factory: pytest.TempPathFactory, interpreters: list[Path]) -> Path:
    """The archive, which the processes of one run of the tests make once."""
    base = tmp_path_factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    path = base / "sockkit.pyz"
    with (base / "sockkit.pyz.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            write(path.with_suffix(".new"), interpreters)
            path.with_suffix(".new").rename(path)
    return path


@pytest.fixture
def commands(pyz: Path, interpreters: list[Path]) -> list[tuple[str, ...]]:
    return [(str(python), *BARE, str(pyz)) for python in interpreters]


def test_version(commands: list[tuple[str, ...]]) -> None:
    installed = run("--version")
    for command in commands:
        assert run("--version", command=command, env=CLEAN) == installed


def test_what_was_compiled_is_used(commands: list[tuple[str, ...]]) -> None:
    """Without it a start takes three times as long."""
    for python, *rest in commands:
        verbose = (python, "-v", *rest)
        _, _, told = run("--version", command=verbose, env=CLEAN)
        loaded = [line for line in told.splitlines() if re.match("import '(sockkit|click)", line)]
        assert loaded
        assert all("Compiled object" in line for line in loaded), loaded[0]


def test_without_what_was_compiled_there_is_the_source(
    interpreters: list[Path], tmp_path: Path
) -> None:
    write(tmp_path / "source.pyz", [])
    for python in interpreters:
        command = (str(python), *BARE, str(tmp_path / "source.pyz"))
        assert run("--version", command=command, env=CLEAN) == run("--version")


def test_megabytes_both_ways(commands: list[tuple[str, ...]]) -> None:
    data = noise(MEGABYTES)
    for command in commands:
        with Program("echo", "-p", "0", command=command, env=CLEAN) as server:
            to = (HERE, str(server.port))
            status, got, told = run("tcp-client", *to, data=data, command=command, env=CLEAN)
            assert (status, errors_of(told)) == (0, [])
            assert hashlib.sha256(got).digest() == hashlib.sha256(data).digest()


def errors_of(told: str) -> list[str]:
    return [line for line in told.splitlines() if line.startswith("sockkit: ")]


def test_the_line_editor(commands: list[tuple[str, ...]], tmp_path: Path) -> None:
    for number, command in enumerate(commands):
        home = tmp_path / str(number)
        with client(home, command=command, env=CLEAN) as (screen, sock):
            screen.prompts(">")
            screen.type(f"ab你\x02好{ENTER}")
            assert sock.recv(100).decode() == "ab好你\n"
            sock.sendall("再见\n".encode())
            screen.shows("再见")


def test_a_chat_room(commands: list[tuple[str, ...]]) -> None:
    for command in commands:
        with Program("chat", "serve", "-p", "0", command=command, env=CLEAN) as room:
            to = (HERE, str(room.port))
            with connect(room.port) as plain, plain.makefile() as lines:
                named = (*to, "--name", "bob")
                said = run("chat", "join", *named, data=b"hi\n", command=command, env=CLEAN)
                assert said[0] == 0
                assert any(line.endswith("hi\n") and "bob" in line for line in lines)


def test_through_a_proxy(commands: list[tuple[str, ...]]) -> None:
    """What speaks to proxies is a package of its own, which is in the archive."""
    for command in commands:
        to = ("--proxy", f"socks5://{HERE}:1", HERE, "9")
        status, _, told = run("tcp-client", *to, command=command, env=CLEAN)
        assert status == 97
        assert len(errors_of(told)) == 1


def test_completion(commands: list[tuple[str, ...]]) -> None:
    for command in commands:
        status, out, told = run(command=command, env={**CLEAN, **COMPLETING})
        assert (status, out, told) == (0, b"plain,tcp-client\nplain,tcp-server\n", "")


@pytest.mark.parametrize(
    ("arguments", "package"),
    [
        (("echo", "-p", "0", "--reply-re", "a=b"), "regex"),
        (("probe", "--match", "a", f"{HERE}:1"), "regex"),
        (("tcp-server", "-p", "0", "--tls"), "cryptography"),
    ],
)
def test_what_is_not_in_it_is_named(
    arguments: tuple[str, ...], package: str, commands: list[tuple[str, ...]]
) -> None:
    for command in commands:
        with Program(*arguments, command=command, env=CLEAN) as program:
            assert (program.status(), program.output()) == (1, b"")
            told = f"needs the Python package {package}, which is not installed: "
            (line,) = errors(program)
            assert told in line
            assert line.endswith(f"run {command[0]} -m pip install {package}")


def test_what_is_installed_is_used(pyz: Path) -> None:
    """This Python has regex and cryptography."""
    command = (sys.executable, "-I", str(pyz))
    with Program("echo", "-p", "0", "--reply-re", "a+=b", command=command, env=CLEAN) as server:
        to = (HERE, str(server.port))
        status, out, _ = run("tcp-client", *to, data=b"aaa\n", command=command, env=CLEAN)
        assert (status, out) == (0, b"b\n")
    with Program("tcp-server", "-p", "0", "--tls", command=command, env=CLEAN) as server:
        assert server.port


def test_it_is_a_program_by_itself(pyz: Path) -> None:
    env = {**CLEAN, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    assert run("--version", command=(str(pyz),), env=env) == run("--version")
