from __future__ import annotations

import errno
import os
import sys

import pytest

from sockkit import __version__
from sockkit.cli import main as module
from sockkit.cli.main import COMPLETE, main, status
from sockkit.errors import (
    NO_ANSWER,
    REFUSED,
    BindError,
    ConnectError,
    OutputError,
    OutputGone,
    ReceiveError,
    ResolveError,
    SockkitError,
    Stopped,
    TextError,
    UsageError,
)
from sockkit.net import port_file

Capture = pytest.CaptureFixture[str]


def fail_with(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: list[str]) -> int:
        raise error

    monkeypatch.setattr(module, "_invoke", fail)


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (BindError("port 80 is in use", "try 8080"), 45, "sockkit: port 80 is in use: try 8080\n"),
        (TextError("no", before=b"x"), 65, "sockkit: no\n"),
        (ConnectError("no", kind=REFUSED), 7,
         "sockkit: no: start the server first, or check the address\n"),
        (ConnectError("no", "use unix:/x", kind=REFUSED), 7, "sockkit: no: use unix:/x\n"),
        (ConnectError("no", kind=NO_ANSWER), 7, "sockkit: no\n"),
        (ResolveError("no"), 6, "sockkit: no: check the name, or give an IP address\n"),
        (Stopped(2), 130, "sockkit: interrupted\n"),
        (BindError("a\nb\x1b[2J\u202e"), 45, "sockkit: a\\x0ab\\x1b[2J\\u202e\n"),
        (OutputGone("the reader has left"), 141, ""),
    ],
)  # fmt: skip
def test_a_failure_is_a_line_and_a_status(
    error: BaseException,
    code: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
) -> None:
    fail_with(error, monkeypatch)
    assert status([]) == code
    assert capsys.readouterr() == ("", said)


@pytest.mark.parametrize(
    ("error", "code", "hint"),
    [
        (ConnectError("no"), errno.ENOENT, "start the server first, or check the address"),
        (OutputError("no"), errno.ENOENT, "create its folder first"),
        (BindError("no"), errno.ENOENT, "create its folder first"),
        (UsageError("no"), errno.ENOENT, "check the name"),
        (SockkitError("no"), errno.ENOENT, "check the name"),
        (SockkitError("no"), errno.EACCES, "check its permissions"),
        (OutputError("no"), errno.ENOSPC, "free some space, or write to another disk"),
        (ReceiveError("no"), errno.ECONNRESET, "the peer's log may say why"),
        (ConnectError("no"), errno.ENETUNREACH, "check the address and the network"),
    ],
)
def test_the_cause_of_a_failure_says_what_to_try(
    error: SockkitError, code: int, hint: str, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    error.__cause__ = OSError(code, "no")
    fail_with(error, monkeypatch)
    status([])
    assert capsys.readouterr().err == f"sockkit: no: {hint}\n"


@pytest.mark.parametrize("error", [MemoryError(), OSError(errno.ENOMEM, "Cannot allocate")])
def test_no_memory_is_a_line_too(
    error: BaseException, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(module.group, "make_context", fail)
    assert status([]) == 1
    assert capfd.readouterr() == ("", "sockkit: not enough memory\n")


def test_a_fault_of_ours_is_a_line_too(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    fail_with(ZeroDivisionError("by\nzero"), monkeypatch)
    assert status([]) == 1
    line = capsys.readouterr().err
    assert line.startswith("sockkit: this is a bug in sockkit, please report it: ")
    assert f"ZeroDivisionError('by\\nzero') ({__file__}:" in line
    assert line.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["tcp-clent"],
            ["no command 'tcp-clent': did you mean tcp-client?\n"],
        ),
        (["a\x1b[2J\u202eb"], ["'a\\x1b[2J\\u202eb'"]),
        (["--nope"], ["no option --nope (see sockkit --help)\n"]),
        (
            ["tcp-client", "--nope"],
            ["tcp-client has no --nope (see sockkit tcp-client --help)\n"],
        ),
        (["tcp-client", "a\x1b]0;x\x07", "80"], ["'a\\x1b]0;x\\x07' is not a host"]),
        (["tcp-client", "h", "8\x9b0"], ["'8\\x9b0' is not a port"]),
        (["tcp-server", "-p", "1\n2"], ["'1\\n2' is not a port", "--port"]),
        (["tcp-server", "-p", "0", "1"], ["two ports: -p 0 and 1: leave one out\n"]),
        (["tcp-server", "--backlog", "x", "-p", "0"], ["'x'", "--backlog"]),
        (["tcp-server", "-p"], ["-p", "as in -p 8080"]),
        (["--", "x"], ["no command 'x'"]),
        (["tcp-server"], ["no port"]),
        (["tcp-server", "a", "b", "extra"], ["unexpected 'extra'"]),
        (["tcp-server", "-p", "1", "--bind", "unix:/x"], ["unix:/x"]),
        (["tcp-server", "-p", "0", "--backlog", "-1"], ["-1"]),
        (["tcp-client", "-w", "soon", "h", "80"], ["soon", "--connect-timeout"]),
        (["tcp-client", "--linger", "-1", "h", "80"], ["-1", "--linger"]),
        (["tcp-client", "--buffer-size", "0", "h", "80"], ["'0'", "--buffer-size"]),
        (["tcp-client", "-E", "nosuch", "h", "80"], ["nosuch"]),
        (["tcp-client", "-E", "rot13", "h", "80"], ["rot13"]),
        (["tcp-client", "--errors", "nosuch", "h", "80"], ["nosuch"]),
    ],
)
def test_usage(arguments: list[str], words: list[str], capsys: Capture) -> None:
    assert status(arguments) == 2
    out, line = capsys.readouterr()
    assert (out, line.count("\n")) == ("", 1)
    assert line.startswith("sockkit: ")
    assert line[:-1].isprintable()
    for word in words:
        assert word in line


NO_PORTS = ["65536", "99999999999", "-1", "abc", "1.5", "80x", "+80", "0x50", "٨٠", "", " 80"]


@pytest.mark.parametrize(
    ("words", "joint"),
    [
        (["tcp-client", "h"], ""),
        (["tcp-client"], "h:"),
        (["udp-client", "h"], ""),
        (["chat", "join", "h"], ""),
        *((f"{server} -p".split(), "") for server in ("tcp-server", "udp-server", "echo")),
        (["chat", "serve", "-p"], ""),
    ],
    ids=" ".join,
)
def test_no_port(words: list[str], joint: str, capsys: Capture) -> None:
    client = words[-1] != "-p"
    for port in ["0", *NO_PORTS] if client else NO_PORTS:
        assert status([*words, joint + port]) == 2
        out, line = capsys.readouterr()
        assert (out, line.count("\n")) == ("", 1)
        assert f"'{port}'" in line


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ([], "no address"),
        (["127.0.0.1"], "127.0.0.1"),
        (["[::1]"], "[::1]"),
        (["", "80"], "'' is not a host"),
        ([":80"], "the host is missing: sockkit "),
        (["[::1", "80"], "[::1"),
        (["a b", "80"], "a b"),
        (["h", "80", "81"], "81"),
        (["unix:@"], "unix:@"),
        (["unix:/" + "x" * 108], "unix:/xxx"),
    ],
)
def test_no_address(words: list[str], named: str, capsys: Capture) -> None:
    for client in (["tcp-client"], ["udp-client"], ["chat", "join"]):
        assert status([*client, *words]) == 2
        out, line = capsys.readouterr()
        assert (out, line.count("\n")) == ("", 1)
        assert named in line or (client == ["udp-client"] and "no address for UDP" in line)


def test_help_and_version(capsys: Capture) -> None:
    for option in ("-h", "--help"):
        assert status([option]) == 0
        assert capsys.readouterr().out.startswith("Usage: sockkit ")
    assert status(["--version"]) == 0
    assert capsys.readouterr() == (f"sockkit, version {__version__}\n", "")


def test_nothing_to_do(capsys: Capture) -> None:
    assert status([]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("Usage: sockkit ")


def leave(code: int) -> None:
    raise SystemExit(code)


@pytest.mark.parametrize(("arguments", "code"), [(["--version"], 0), (["nope"], 2)])
def test_main_ends_with_the_status(
    arguments: list[str], code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "_exit", leave)
    monkeypatch.setattr(sys, "argv", ["sockkit", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == code


@pytest.mark.parametrize("code", [0, 2, 45])
def test_whoever_waits_for_a_port_is_let_go_if_there_is_none(
    code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    released: list[str] = []
    monkeypatch.setattr(port_file, "release", released.append)
    monkeypatch.setattr(os, "_exit", leave)
    monkeypatch.setattr(module, "status", lambda _: code)
    monkeypatch.setattr(sys, "argv", ["sockkit", "echo", "--port-file", "a", "--port-file=b"])
    with pytest.raises(SystemExit):
        main()
    assert released == (["a", "b"] if code else [])


def test_main_completes(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setenv(COMPLETE, "bash_complete")
    monkeypatch.setenv("COMP_WORDS", "sockkit tcp-s")
    monkeypatch.setenv("COMP_CWORD", "1")
    monkeypatch.setattr(os, "_exit", leave)
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    assert capsys.readouterr() == ("plain,tcp-server\n", "")


@pytest.mark.parametrize("words", [{}, {"COMP_WORDS": "sockkit"}, {"COMP_CWORD": "x"}])
def test_a_completion_that_no_shell_asks_for_is_a_line(
    words: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    for name, value in {COMPLETE: "bash_complete", **words}.items():
        monkeypatch.setenv(name, value)
    assert status([]) == 2
    out, line = capsys.readouterr()
    assert (out, line.count("\n")) == ("", 1)
    assert line.startswith(f"sockkit: {COMPLETE} is for a shell's completion script")


def test_a_signal_kills(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "die", leave)
    fail_with(Stopped(15), monkeypatch)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 15
